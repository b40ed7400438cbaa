// Elementwise scans in which the decay is given as a stream.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::cpu {

/// `recur` and `recur_adjoint` of a backend's kernels; y may not be x.
void recur(view<const float> change, view<const float> x, view<float> h, view<float> y);
void recur_adjoint(view<const float> change, view<const float> g, view<float> h, view<float> y);

}  // namespace alphaform::cpu

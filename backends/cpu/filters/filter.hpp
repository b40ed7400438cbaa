// Short causal filters along tokens.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::cpu {

/// `fir` and `fir_adjoint` of a backend's kernels; y may not be x.
void fir(view<const float> taps, view<const float> x, view<float> y);
void fir_adjoint(view<const float> taps, view<const float> g, view<float> y);

}  // namespace alphaform::cpu

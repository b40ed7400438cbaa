// Stored matrices applied to streams.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::cpu {

/// `linear` and `linear_adjoint` of a backend's kernels; on all threads, unless called within a task.
void linear(view<const float> weight, axis from, axis to, view<const float> x, view<float> y);
void linear_adjoint(view<const float> weight, axis from, axis to, view<const float> g, view<float> y);

}  // namespace alphaform::cpu

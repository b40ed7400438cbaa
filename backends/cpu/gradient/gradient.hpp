// The sums that gradients of linear scans consist of, as `kernels::unrolled_gradient` declares them.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cpu {

/// What `unrolled_gradient` of a backend's kernels is, for operands of any axes; fast where x, g and all u lack the
/// axis `state`.
void unrolled_gradient(const recurrence<float>&, view<const float> x, view<const float> g,
                       std::span<const state_sum<float>>);

}  // namespace alphaform::cpu

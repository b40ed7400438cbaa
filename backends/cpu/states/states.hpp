// Linear scans of states in which every channel (and state) has a decay of its own, as in Mamba.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cpu {

/// What `unrolled` and `unrolled_adjoint` of a backend's kernels are, for operands of any axes; fast where x has no
/// axis `state`.
void unrolled_channels(const recurrence<float>&, view<const float> x, view<float> h, view<float> y);
void unrolled_channels_adjoint(const recurrence<float>&, view<const float> g, view<float> h, view<float> y);

}  // namespace alphaform::cpu

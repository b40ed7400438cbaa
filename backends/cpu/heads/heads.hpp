// Unrolled recurrences whose channels share decay, write and read within a head (GLA, RetNet, Mamba-2, RWKV-6, HGRN-2):
// 64 tokens at a time as matrix products. Single threaded.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cpu {

/// Whether decay, write and read have only the axes token, group, head and state, and x only those and chan, so that
/// the two functions below may be called.
bool shares_decay_among_channels(const recurrence<float>&, view<const float> x);

/// kernels::unrolled and kernels::unrolled_adjoint. Decays are from 0 to 1; h has its channels and states in this
/// order, states contiguous.
void unrolled_heads(const recurrence<float>&, view<const float> x, view<float> h, view<float> y);
void unrolled_heads_adjoint(const recurrence<float>&, view<const float> g, view<float> h, view<float> y);

}  // namespace alphaform::cpu

// Unrolled recurrences whose channels share decay, write and read within a head (GLA, RetNet, Mamba-2, RWKV-6, HGRN-2),
// also with a transition diagonal plus rank one (DeltaNet, KDA, RWKV-7): 64 tokens at a time as matrix products on
// tensor cores.
#pragma once
#include <alphaform/backends/cuda/functions.hpp>

namespace alphaform::cuda {

/// Whether the functions below may be called and are worth it: no stream but x and y has channels, and there are enough
/// tokens, states and channels to fill products; with p and q at most 128 states.
bool fits_heads(const recurrence<float>&, in x, const out& h, const out& y);
bool fits_heads(const rank_one_recurrence<float>&, in x, const out& h, const out& y);

/// kernels::unrolled, and kernels::unrolled_adjoint if `adjoint`.
void unrolled_heads(product_precision, bool adjoint, const recurrence<float>&, in x, out h, out y);
/// kernels::rank_one, and kernels::rank_one_adjoint if `adjoint`.
void rank_one_heads(product_precision, bool adjoint, const rank_one_recurrence<float>&, in x, out h, out y);

}  // namespace alphaform::cuda

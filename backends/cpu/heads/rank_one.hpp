// Recurrences whose transition is diagonal plus rank one (DeltaNet, Gated DeltaNet, KDA, RWKV-7), token by token with
// the state of a head in the first-level cache. A step costs 3 to 5 multiply-adds an entry of the state; a chunk in
// UT (WY) form of 16 to 64 tokens costs as many or more, so that it pays only on matrix hardware.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cpu {

/// As kernels<float>::rank_one and rank_one_adjoint: h [1, (group), (head), chan, state, (column)] is contiguous.
void rank_one(const rank_one_recurrence<float>&, view<const float> x, view<float> h, view<float> y);
void rank_one_adjoint(const rank_one_recurrence<float>&, view<const float> g, view<float> h, view<float> y);

}  // namespace alphaform::cpu

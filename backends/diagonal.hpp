// What an operator that mixes channels does from each channel to itself. LayerNorm's centring, I - 1 1' / n, is all
// that mixes channels in most layers; between operators that keep them apart its diagonal, 1 - 1/n, is all that counts.
#pragma once
#include <alphaform/algebra/graph.hpp>

namespace alphaform {

/// The axes that an operator mixes, creates or sums away.
axes mixed_by(const workspace& g, node_index p);

/// An operator on the same streams that keeps the axes `of` apart and agrees with `p` from every entry to itself: p
/// where it does so; absent where this cannot be read off.
node_index diagonal_of(workspace& g, node_index p, axes of);

}  // namespace alphaform

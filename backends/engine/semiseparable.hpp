// H = Diag(left) (Unrolled + Diag(skip)) Diag(right) Conv: the form of an operator whose part below the diagonal has
// the rank of its state. Reductions over channels of such an operator are matrix products of small factors.
#pragma once
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

/// Streams of the form, by their place in the graph; those of one list multiply.
struct semiseparable final {
  unrolled_form core;         ///< with left in its read and right in its write
  std::vector<streams> skip;  ///< terms of the diagonal, left and right included
  node_index taps = absent;   ///< parameter node of the filter, or `absent`
};

/// The form of the operator at `p`, or nothing if it has another one.
std::optional<semiseparable> as_semiseparable(const workspace& g, node_index p);

/// What is taken over the channels of H, each times `weight`: adds to `map` [T, column T], or raises it to the maximum.
/// @param stream  extents of H's result, [T, C] or with heads and groups
template <class T>
void add_over_channels(engine<T>&, const semiseparable&, const extents& stream, T weight, over_channels, view<T> map);

}  // namespace alphaform

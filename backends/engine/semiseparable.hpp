// H = Diag(left) (Unrolled + Diag(skip)) Diag(right) Conv: the form of an operator whose part below the diagonal has
// the rank of its state. Reductions over channels of such an operator are matrix products of small factors.
#pragma once
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

/// Streams of the form, by their place in the graph; several streams of one list multiply.
struct semiseparable final {
  std::vector<node_index> left, write, read, right;
  std::vector<std::vector<node_index>> skip;  ///< each a product of Diags
  node_index decay = absent;
  node_index taps = absent;  ///< parameter node of the filter, or `absent`
  bool exclusive = false;    ///< the state is read before the current token is written
};

/// The form of the operator at `p`, or nothing if it has another one.
std::optional<semiseparable> as_semiseparable(const workspace& g, node_index p);

/// sum over channels of weight H_c, or of weight |H_c|: adds to `map` [T, column T].
template <class T>
void add_channel_sum(engine<T>&, const semiseparable&, std::size_t channels, T weight, bool absolute, view<T> map);

}  // namespace alphaform

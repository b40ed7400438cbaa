// Properties of terms that conditions of rules and sentences of documents ask for. Each is one short recursion over the
// graph.
#pragma once
#include <alphaform/algebra/infer.hpp>

namespace alphaform {

/// The input stream at which the value path starts.
inline constexpr std::string_view value_input = "x";

/// Does a term occur in the subgraph of `i` for which `is` holds? Linear in the graph: arguments come before their
/// node.
template <std::size_t N, class Predicate>
constexpr bool any_of(const graph<N>& g, node_index i, Predicate is) {
  if (i == absent) return false;
  bool needed[N]{};
  needed[i] = true;
  for (int k = i; k >= 0; --k) {
    if (!needed[k]) continue;
    const node& n = g[static_cast<node_index>(k)];
    if (is(n)) return true;
    if (n.is<terms::inverse_size>()) continue;  // of its stream only the size counts
    if (n.a != absent) needed[n.a] = true;
    if (n.b != absent) needed[n.b] = true;
  }
  return false;
}

/// The term does not contain the value input at all.
template <std::size_t N>
constexpr bool independent_of_value(const graph<N>& g, node_index i) {
  return !any_of(g, i, [](const node& n) { return n.is<terms::input>() && n.id == value_input; });
}

}  // namespace alphaform

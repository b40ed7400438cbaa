// One order for what may stand in any order: summands, factors of a stream, commuting operators. The order looks at
// terms and names only, so it is the same however an expression was built.
#pragma once
#include <algorithm>
#include <alphaform/algebra/properties.hpp>

namespace alphaform {

/// Negative, 0 or positive, as the term at `i` comes before, is, or comes after the one at `j`.
template <class Graph>
constexpr int compare(const Graph& g, node_index i, node_index j) {
  if (i == j) return 0;
  if (i == absent || j == absent) return i == absent ? -1 : 1;
  const node &a = g[i], &b = g[j];
  const int keys[][2] = {
      {a.term, b.term}, {a.function, b.function}, {a.to.bits, b.to.bits}, {a.from.bits, b.from.bits}};
  for (const auto& [x, y] : keys)
    if (x != y) return x - y;
  if (a.id != b.id) return a.id < b.id ? -1 : 1;
  const int first = compare(g, a.a, b.a);
  return first != 0 ? first : compare(g, a.b, b.b);
}

/// Where a factor wants to stand among those that it commutes with: operators that enlarge a stream act late, those
/// that shrink it early, Diags outside of both, and Reverse as early as possible.
template <class Graph>
constexpr int preferred_place(const Graph& g, node_index i) {
  const node& n = g[i];
  if (one_of<terms::expand, terms::embed, terms::every_token>(n.term)) return 0;
  if (n.is<terms::diag>()) return same_for_every_token(g, n.a) ? 2 : 1;
  if (one_of<terms::contract, terms::real, terms::over_tokens>(n.term)) return 5;
  if (one_of<terms::reverse, terms::permute>(n.term)) return 6;
  return signature_of(g, i).mixes_tokens ? 3 : 4;
}

template <class Term, class Graph>
constexpr void flatten(const Graph& g, node_index i, buffer<node_index>& list) {
  if (!g[i].template is<Term>()) {
    list.push_back(i);
    return;
  }
  const node n = g[i];
  flatten<Term>(g, n.a, list);
  flatten<Term>(g, n.b, list);
}

template <class Term, class Graph>
constexpr node_index nested(Graph& g, const buffer<node_index>& list) {
  node_index i = list.back();
  for (std::size_t k = list.size() - 1; k-- > 0;)
    i = g.put(inferred(g, {.term = term_code<Term>, .a = list[k], .b = i}));
  return i;
}

/// The product with commuting factors in the order that comes first: always the foremost of those that can be brought
/// to the front (the lexicographic normal form of a partially commutative monoid).
template <class Graph>
constexpr node_index arranged_product(Graph& g, node_index i) {
  buffer<node_index> left;
  flatten<terms::product>(g, i, left);
  buffer<signature> kinds;
  buffer<int> places;
  for (const node_index f : left) {
    kinds.push_back(signature_of(g, f));
    places.push_back(preferred_place(g, f));
  }
  buffer<node_index> list;
  while (!left.empty()) {
    std::size_t best = 0;
    for (std::size_t k = 1; k < left.size(); ++k) {
      if (places[k] > places[best]) continue;
      if (places[k] == places[best] && compare(g, left[k], left[best]) >= 0) continue;
      bool movable = true;
      for (std::size_t m = 0; m < k && movable; ++m) movable = commute(kinds[m], kinds[k]);
      if (movable) best = k;
    }
    list.push_back(left[best]);
    left.erase(best);
    kinds.erase(best);
    places.erase(best);
  }
  return nested<terms::product>(g, list);
}

/// Summands, or factors of a stream, largest first.
template <class Term, class Graph>
constexpr node_index arranged_terms(Graph& g, node_index i) {
  buffer<node_index> list;
  flatten<Term>(g, i, list);
  for (std::size_t k = 1; k < list.size(); ++k)
    for (std::size_t m = k; m > 0 && compare(g, list[m], list[m - 1]) > 0; --m) std::swap(list[m], list[m - 1]);
  return nested<Term>(g, list);
}

template <class Graph>
constexpr node_index arranged(Graph& g, node_index i) {
  const node n = g[i];
  node_index made = i;
  if (n.is<terms::product>()) made = arranged_product(g, i);
  if (n.is<terms::sum>()) made = arranged_terms<terms::sum>(g, i);
  if (n.is<terms::paths>()) made = arranged_terms<terms::paths>(g, i);
  if (n.is<terms::plus>()) made = arranged_terms<terms::plus>(g, i);
  if (n.is<terms::times>()) made = arranged_terms<terms::times>(g, i);
  if (made != i && g.labels[made].empty()) g.labels[made] = g.labels[i];
  return made;
}

}  // namespace alphaform

// Rewriting: one engine for every rule. Canonical rules run bottom-up to a fixed point; visible rules run one at a
// time, so that each of them is a step of a derivation.
#pragma once
#include <alphaform/algebra/language.hpp>
#include <alphaform/algebra/rules.hpp>

namespace alphaform {

/// Where a node of the workspace went in one pass.
struct memo final {
  node_index to[1024];
  constexpr memo() {
    for (node_index& t : to) t = absent;
  }
};

/// Rewriting follows operators and applications; it does not look into the streams that control them.
constexpr bool is_composite(const node& n) {
  return n.is<terms::sum>() || n.is<terms::product>() || n.is<terms::rownorm>() || n.is<terms::applied>() ||
         n.is<terms::plus>();
}

/// The term that the rule makes of node i, or `absent` if it does not apply. In a product A (B rest) the pair A B is
/// tried too.
constexpr node_index fire(const rule& u, workspace& g, node_index i) {
  binding bound;
  const auto applies = [&](node_index at) {
    bound = {};
    return match(u.pattern.g, u.pattern.root, g, at, bound) &&
           (u.when.symbol.empty() || u.when.holds(g, bound[u.when.symbol]));
  };
  if (applies(i)) return substitute(u.result.g, u.result.root, g, bound);
  const node n = g[i];
  if (u.pattern.top().is<terms::product>() && n.is<terms::product>() && g[n.b].is<terms::product>()) {
    const node rest = g[n.b];
    const node_index pair = g.put(inferred(g, {.term = term_code<terms::product>, .a = n.a, .b = rest.a}));
    if (applies(pair)) {
      const node_index first = substitute(u.result.g, u.result.root, g, bound);
      return g.put(inferred(g, {.term = term_code<terms::product>, .a = first, .b = rest.b}));
    }
  }
  return absent;
}

/// The node with its arguments mapped by `f`.
template <class Map>
constexpr node_index rebuilt(workspace& g, node_index i, Map f) {
  node n = g[i];
  if (!is_composite(n)) return i;
  n.a = f(n.a);
  if (n.b != absent) n.b = f(n.b);
  const node_index made = g.put(inferred(g, n));
  if (g.labels[made].empty()) g.labels[made] = g.labels[i];
  return made;
}

/// Applies all rules of the class, innermost first, until none applies.
constexpr node_index exhaust(workspace& g, node_index i, rule_class c, memo& seen) {
  if (seen.to[i] != absent) return seen.to[i];
  const node_index start = i;
  for (bool changed = true; changed;) {
    changed = false;
    i = rebuilt(g, i, [&](node_index k) { return exhaust(g, k, c, seen); });
    for (const rule& u : rules) {
      if (u.is != c) continue;
      const node_index j = fire(u, g, i);
      if (j == absent || j == i) continue;
      i = j;
      changed = true;
      break;
    }
  }
  seen.to[start] = i;
  seen.to[i] = i;
  return i;
}
constexpr node_index exhaust(workspace& g, node_index i, rule_class c) {
  memo seen;
  return exhaust(g, i, c, seen);
}

/// Applies one rule wherever it applies, outermost first, and counts how often it did.
constexpr node_index pass(const rule& u, workspace& g, node_index i, memo& seen, int& times) {
  if (seen.to[i] != absent) return seen.to[i];
  node_index j = fire(u, g, i);
  if (j != absent && j != i) {
    ++times;
  } else {
    j = rebuilt(g, i, [&](node_index k) { return pass(u, g, k, seen, times); });
  }
  seen.to[i] = j;
  return j;
}

/// The canonical form of a term: identities and zeros gone, products, sums and applications nested to the right.
constexpr expr normal(const expr& e) {
  workspace g;
  expr result;
  result.root = result.g.take(g, exhaust(g, g.take(e.g, e.root), rule_class::canonical));
  return result;
}
template <axes F, axes T>
constexpr op<F, T> normal(const op<F, T>& p) {
  return {normal(p.e)};
}
template <axes A>
constexpr stream<A> normal(const stream<A>& s) {
  return {normal(s.e)};
}

}  // namespace alphaform

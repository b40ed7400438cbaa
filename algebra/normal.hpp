// Rewriting: one engine for every rule. A scheme says which classes of rules run, and where; they run innermost first,
// to a fixed point. Visible rules run one at a time, so that each of them is a step of a derivation.
#pragma once
#include <alphaform/algebra/language.hpp>
#include <alphaform/algebra/order.hpp>
#include <alphaform/algebra/rules.hpp>

namespace alphaform {

/// Which rules run, and where.
struct scheme final {
  std::uint32_t classes = 0;
  bool inside_controls = false;  ///< also within the streams that control operators
  bool arranged = false;         ///< commuting factors and summands take their one order
  constexpr bool has(rule_class c) const { return (classes >> static_cast<unsigned>(c) & 1u) != 0; }
};
template <class... Class>
requires(std::is_same_v<Class, rule_class>&&...) constexpr scheme only(Class... c) {
  return {((1u << static_cast<unsigned>(c)) | ...)};
}

inline constexpr scheme bookkeeping = only(rule_class::canonical);
inline constexpr scheme normalising{only(rule_class::canonical, rule_class::mathematical, rule_class::adjoint).classes,
                                    true, true};
inline constexpr scheme differentiating =
    only(rule_class::canonical, rule_class::derivative, rule_class::controls, rule_class::adjoint);

/// Where each node of the workspace went.
class memo final {
 public:
  constexpr node_index operator[](node_index i) const { return i < to_.size() ? to_[i] : absent; }
  constexpr void set(node_index i, node_index to) {
    if (i >= to_.size()) to_.resize(i + 1u, absent);
    to_[i] = to;
  }

 private:
  buffer<node_index> to_{};
};

/// Operators and applications: what rewriting follows when it does not look into the streams that control them.
constexpr bool is_composite(const node& n) {
  return one_of<terms::sum, terms::product, terms::paths, terms::rownorm, terms::bounded_rownorm, terms::scan,
                terms::adjoint, terms::retimed, terms::applied, terms::plus>(n.term);
}
constexpr bool is_marker(const node& n) {
  return one_of<terms::frozen, terms::derivative, terms::controls, terms::remainder>(n.term);
}

/// How many factors a product that is nested to the right has.
template <class Graph>
constexpr int factor_count(const Graph& g, node_index i) {
  int n = 1;
  for (; g[i].template is<terms::product>(); i = g[i].b) ++n;
  return n;
}

/// The product of the first `n` factors of a product that has more; the others are left in `rest`.
constexpr node_index leading_factors(workspace& g, node_index i, int n, node_index& rest) {
  const node p = g[i];
  if (n == 1) {
    rest = p.b;
    return p.a;
  }
  const node_index others = leading_factors(g, p.b, n - 1, rest);
  return g.put(inferred(g, {.term = term_code<terms::product>, .a = p.a, .b = others}));
}

/// The term that the rule makes of node i, or `absent` if it does not apply. A rule for a product of n factors applies
/// to the first n of a longer product too. A 0 keeps the axes of what it replaces.
constexpr node_index fire(const rule& u, workspace& g, node_index i) {
  binding bound;
  const auto applies = [&](node_index at) {
    bound = {};
    return match(u.pattern.g, u.pattern.root, g, at, bound) && (u.when.holds == nullptr || u.when.holds(g, bound));
  };
  const auto result = [&](node_index at) {
    const node_index made = substitute(u.result.g, u.result.root, g, bound);
    if (!one_of<terms::zero, terms::nothing>(g[made].term)) return made;
    node empty = g[made];
    empty.to = g[at].to;
    empty.from = g[at].from;
    return g.put(empty);
  };
  if (applies(i)) return result(i);
  if (!u.pattern.top().is<terms::product>() || !g[i].is<terms::product>()) return absent;
  const int wanted = factor_count(u.pattern.g, u.pattern.root);
  if (factor_count(g, i) <= wanted) return absent;
  node_index rest = absent;
  const node_index leading = leading_factors(g, i, wanted, rest);
  if (!applies(leading)) return absent;
  const node_index first = result(leading);
  return g.put(inferred(g, {.term = term_code<terms::product>, .a = first, .b = rest}));
}

/// The node with its arguments mapped by `f`; it keeps its label.
template <class Map>
constexpr node_index rebuilt(workspace& g, node_index i, bool inside_controls, Map f) {
  node n = g[i];
  const bool open = inside_controls ? !is_marker(n) && !n.is<terms::inverse_size>() : is_composite(n);
  if (!open) return i;
  if (n.a != absent) n.a = f(n.a);
  if (n.b != absent) n.b = f(n.b);
  const node_index made = g.put(inferred(g, n));
  if (g.labels[made].empty()) g.labels[made] = g.labels[i];
  return made;
}

/// Applies the rules of the scheme, innermost first, until none applies.
constexpr node_index exhaust(workspace& g, node_index i, const scheme& s, memo& seen) {
  if (seen[i] != absent) return seen[i];
  const node_index start = i;
  for (bool changed = true; changed;) {
    changed = false;
    i = rebuilt(g, i, s.inside_controls, [&](node_index k) { return exhaust(g, k, s, seen); });
    const code top = g[i].term;
    for (std::size_t k = rule_index.begin[top]; k < rule_index.begin[top + 1u] && !changed; ++k) {
      const rule& u = rules[rule_index.rule[k]];
      if (!s.has(u.is)) continue;
      const node_index j = fire(u, g, i);
      changed = j != absent && j != i;
      if (changed) i = j;
    }
    if (!changed && s.arranged) {
      const node_index j = arranged(g, i);
      changed = j != i;
      i = j;
    }
  }
  seen.set(start, i);
  seen.set(i, i);
  return i;
}
constexpr node_index exhaust(workspace& g, node_index i, const scheme& s) {
  memo seen;
  return exhaust(g, i, s, seen);
}

/// Applies one rule wherever it applies, outermost first, and counts how often it did.
constexpr node_index pass(const rule& u, workspace& g, node_index i, memo& seen, int& times) {
  if (seen[i] != absent) return seen[i];
  node_index j = fire(u, g, i);
  if (j != absent && j != i) {
    ++times;
  } else {
    j = rebuilt(g, i, false, [&](node_index k) { return pass(u, g, k, seen, times); });
  }
  seen.set(i, j);
  return j;
}

/// The normal form of a term: identities and zeros gone, RowNorm written as Diag, transposes carried to the leaves,
/// products and sums flat, commuting factors and summands in one order. Nothing is distributed over a sum.
template <std::size_t N>
constexpr term_in<N> normal(const term_in<N>& e) {
  workspace g;
  term_in<N> result;
  result.root = result.g.take(g, exhaust(g, g.take(e.g, e.root), normalising));
  return result;
}
inline large_expr normal(const large_expr& e) {
  large_expr result;
  workspace g;
  result.root = result.g.take(g, exhaust(g, g.take(e.g, e.root), normalising));
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

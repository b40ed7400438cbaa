// The implicit attention of a stream expression, y = H x + r, with the steps that lead there. The same code runs in a
// static_assert and at run time.
#pragma once
#include <alphaform/algebra/normal.hpp>
#include <array>

namespace alphaform {

/// One application of a visible rule, wherever it applied.
struct step final {
  node_index rule = absent;  ///< row of `rules`
  int times = 0;
  node_index before = absent, after = absent;
};

/// The result of derive(y): terms are indices into `g`.
struct derivation final {
  static constexpr std::size_t most_steps = 24;
  graph<320> g{};
  node_index output = absent;     ///< y as declared
  node_index formula = absent;    ///< H
  node_index remainder = absent;  ///< r
  node_index refused = absent;    ///< the term at which derivation stopped, or `absent`
  std::array<step, most_steps> log{};
  std::size_t steps = 0;

  constexpr expr term(node_index i) const {
    expr e;
    e.root = e.g.take(g, i);
    return e;
  }
  /// H as a typed operator, to compare in a static_assert.
  constexpr op<chan, chan> H() const { return {term(formula)}; }
  /// r as a typed stream.
  constexpr stream<chan> r() const { return {term(remainder)}; }
};

/// y = H x + r for the stream y, with "x" as the value path and every control frozen.
/// @see docs/mathematics.md, "What H is"
constexpr derivation derive(const expr& y) {
  workspace g;
  derivation d;
  const node_index out = g.take(y.g, y.root);
  node_index at = exhaust(g, g.put(inferred(g, {.term = term_code<terms::frozen>, .a = out})), rule_class::canonical);
  for (bool again = true; again;) {
    again = false;
    for (std::size_t u = 0; u < rules.size(); ++u) {
      if (rules[u].is != rule_class::frozen && rules[u].is != rule_class::mathematical) continue;
      int times = 0;
      const node_index before = at;
      for (int fired = -1; fired != 0; times += fired) {
        fired = 0;
        memo seen;
        at = exhaust(g, pass(rules[u], g, at, seen, fired), rule_class::canonical);
      }
      if (times == 0) continue;
      if (d.steps == derivation::most_steps) throw user_error("this derivation needs more steps than alphaform keeps");
      d.log[d.steps++] = {static_cast<node_index>(u), times, before, at};
      again = true;
    }
  }
  node_index rest = g.put(inferred(g, {.term = term_code<terms::remainder>, .a = out}));
  for (node_index last = absent; last != rest;) {
    last = rest;
    rest = exhaust(g, exhaust(g, rest, rule_class::remainder), rule_class::canonical);
  }
  for (node_index i = 0; i < g.size && d.refused == absent; ++i)
    if (g[i].is<terms::frozen>() && any_of(g, at, [&](const node& n) { return n == g[i]; })) d.refused = g[i].a;

  d.output = d.g.take(g, out);
  d.formula = d.g.take(g, at);
  d.remainder = d.g.take(g, rest);
  if (d.refused != absent) d.refused = d.g.take(g, d.refused);
  for (step& s : d.log) {
    s.before = d.g.take(g, s.before);
    s.after = d.g.take(g, s.after);
  }
  return d;
}

/// The same for a declaration; what cannot be derived does not compile.
template <axes A>
constexpr derivation derive(const stream<A>& y) {
  const derivation d = derive(y.e);
  if (d.refused != absent)
    throw user_error("no implicit attention: a term on the value path is neither linear nor a known activation");
  return d;
}

/// The same stream from factors that cannot overflow. @see rules of class stabilising
constexpr expr stabilised(const expr& y) {
  workspace g;
  expr result;
  result.root = result.g.take(g, exhaust(g, g.take(y.g, y.root), rule_class::stabilising));
  return result;
}

}  // namespace alphaform

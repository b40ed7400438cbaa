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
  node_index refusing = absent;   ///< the unsound row of `rules` that would have been needed, if one is known
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

/// The input called `name` where it occurs in the term, or one with the axis [C] that does not.
template <class Graph>
constexpr node_index variable(Graph& g, node_index i, std::string_view name) {
  node_index found = absent;
  for (node_index k = 0; k <= i; ++k)
    if (g[k].template is<terms::input>() && g[k].id == name) found = k;
  return found != absent ? found : g.put({.term = term_code<terms::input>, .to = chan, .id = name});
}

/// A marker on the term `i`, with respect to `v`.
template <class Marker>
constexpr node_index marked(workspace& g, node_index i, node_index v) {
  return g.put(inferred(g, {.term = term_code<Marker>, .a = i, .b = v}));
}

/// A marker that is left over in the term `i`, or `absent`.
constexpr node_index left_over(const workspace& g, node_index i) {
  const buffer<char> needed = parts_within(g, i, only_counts);
  for (node_index k = 0; k <= i; ++k)
    if (needed[k] != 0 && is_marker(g[k])) return k;
  return absent;
}
/// The unsound row that a marker's term asks for.
constexpr node_index refusing_rule(workspace& g, node_index marker) {
  for (node_index u = 0; u < rules.size(); ++u) {
    binding bound;
    if (rules[u].is == rule_class::unsound && match(rules[u].pattern.g, rules[u].pattern.root, g, marker, bound))
      return u;
  }
  return absent;
}

/// R(y) with respect to v, rewritten.
constexpr node_index remainder_of(workspace& g, node_index y, node_index v) {
  node_index rest = marked<terms::remainder>(g, y, v);
  for (node_index last = absent; last != rest;) {
    last = rest;
    rest = exhaust(g, exhaust(g, rest, only(rule_class::remainder)), bookkeeping);
  }
  return rest;
}

/// y = H v + r for the stream y, with the input `value` as the value path and every control frozen.
/// @see docs/mathematics.md, "What H is"
constexpr derivation derive(const expr& y, std::string_view value = value_input) {
  workspace g;
  derivation d;
  const node_index out = g.take(y.g, y.root), v = variable(g, out, value);
  node_index at = exhaust(g, marked<terms::frozen>(g, out, v), bookkeeping);
  for (bool again = true; again;) {
    again = false;
    for (std::size_t u = 0; u < rules.size(); ++u) {
      if (rules[u].is != rule_class::frozen && rules[u].is != rule_class::mathematical) continue;
      int times = 0;
      const node_index before = at;
      for (int fired = -1; fired != 0; times += fired) {
        fired = 0;
        memo seen;
        at = pass(rules[u], g, at, seen, fired);
        if (fired != 0) at = exhaust(g, at, bookkeeping);
      }
      if (times == 0) continue;
      if (d.steps == derivation::most_steps) throw user_error("this derivation needs more steps than alphaform keeps");
      d.log[d.steps++] = {static_cast<node_index>(u), times, before, at};
      again = true;
    }
  }
  const node_index rest = remainder_of(g, out, v);
  if (const node_index marker = left_over(g, at); marker != absent) {
    d.refusing = refusing_rule(g, marker);
    d.refused = d.g.take(g, g[marker].a);
  }
  buffer<node_index> copied(g.size, absent);
  const auto kept = [&](node_index i) { return copy_term(d.g, g, i, copied); };
  d.output = kept(out);
  d.formula = kept(at);
  d.remainder = kept(rest);
  for (step& s : d.log) {
    s.before = kept(s.before);
    s.after = kept(s.after);
  }
  return d;
}

/// The same for a declaration; what cannot be derived does not compile.
template <axes A>
constexpr derivation derive(const stream<A>& y) {
  const derivation d = derive(y.e);
  if (d.refused == absent) return d;
  if (d.g[d.refused].is<terms::times>())
    throw user_error("no implicit attention: a plain product on the value path; write gate(a) * b, which freezes a");
  throw user_error("no implicit attention: a term on the value path is neither linear nor a known activation");
}

/// The same stream from factors that cannot overflow. @see rules of class stabilising
constexpr expr stabilised(const expr& y) {
  workspace g;
  expr result;
  result.root = result.g.take(g, exhaust(g, g.take(y.g, y.root), only(rule_class::stabilising)));
  return result;
}

}  // namespace alphaform

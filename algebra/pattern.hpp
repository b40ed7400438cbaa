// A rule is a row of data: a pattern and a result, which are ordinary expressions with symbols in them, and a condition
// on the symbols.
#pragma once
#include <alphaform/algebra/build.hpp>
#include <alphaform/algebra/properties.hpp>
#include <array>

namespace alphaform {

enum class rule_class : std::uint8_t {
  canonical,     ///< silent bookkeeping: identities, zeros, order of brackets
  mathematical,  ///< an identity of operators: a visible step of a derivation
  frozen,        ///< how the frozen derivative F passes through a term: a visible step
  remainder,     ///< how the affine remainder R passes through a term
  derivative,    ///< how the true derivative J passes through a term
  controls,      ///< how J - F, the derivative through what controls, does: a visible step
  splitting,     ///< products distribute over alternative paths, and over nothing else
  adjoint,       ///< the transpose of a term
  commuting,     ///< two factors that may change places; the normal form has one order for them
  stabilising,   ///< the same operator from factors that cannot overflow; taken before evaluating
  planning,      ///< the same operator at another cost: what the planner may take
  unsound,       ///< tempting and wrong: what is refused, and why
};
constexpr std::string_view text_of(rule_class c) {
  constexpr std::array names{"canonical", "mathematical", "frozen",    "remainder",   "derivative", "controls",
                             "splitting", "adjoint",      "commuting", "stabilising", "planning",   "unsound"};
  return names[static_cast<std::size_t>(c)];
}

/// One side of a rule.
inline constexpr std::size_t side_capacity = 34;
using side = term_in<side_capacity>;

/// What the symbols of a pattern stand for. A symbol is one letter from p to z.
struct binding final {
  node_index to[11]{absent, absent, absent, absent, absent, absent, absent, absent, absent, absent, absent};
  constexpr node_index& operator[](std::string_view symbol) { return to[symbol[0] - 'p']; }
  constexpr node_index operator[](std::string_view symbol) const { return to[symbol[0] - 'p']; }
};

/// A predicate over what the symbols of the pattern stand for.
struct condition final {
  std::string_view text{};  ///< follows "where"
  bool (*holds)(const workspace&, const binding&) = nullptr;
  std::string_view symbols{};  ///< those that it asks about, one letter each
};
inline constexpr condition always{};

struct rule final {
  std::string_view name;
  side pattern, result;
  rule_class is;
  std::string_view source;  ///< where the identity, or the counterexample, comes from
  std::string_view reason;  ///< one sentence for the reader of a derivation
  condition when;
};

constexpr bool is_wildcard(const node& n) { return n.is<terms::any_stream>() || n.is<terms::any_operator>(); }
/// In patterns, the id of an operator is a symbol for the operator as a whole, whose axes a result can ask for.
constexpr bool names_operator(const node& n) { return !n.is_stream() && !n.id.empty(); }

/// Does the term at `j` have the form of the pattern at `i`? Fills in the binding.
constexpr bool match(const graph<side_capacity>& pattern, node_index i, const workspace& g, node_index j,
                     binding& bound) {
  const node &want = pattern[i], &have = g[j];
  if (is_wildcard(want)) {
    if (want.is<terms::any_stream>() != have.is_stream()) return false;
    node_index& at = bound[want.id];
    if (at == absent) at = j;
    return at == j;
  }
  if (want.term != have.term || want.function != have.function) return false;
  if (names_operator(want)) {
    bound[want.id] = j;
  } else if (!want.id.empty() && want.id != have.id) {
    return false;
  }
  if (one_of<terms::expand, terms::contract, terms::turn>(want.term) && want.id.empty() &&
      (want.from != have.from || want.to != have.to))
    return false;
  return (want.a == absent || match(pattern, want.a, g, have.a, bound)) &&
         (want.b == absent || match(pattern, want.b, g, have.b, bound));
}

/// The operators that only results have: an Expand or a Contract whose axes are those of something that matched.
constexpr node_index built_in(workspace& g, const node& n) {
  const auto over = [&g]<class Term>(Term, axes made, axes consumed) {
    if (made == no_axes && consumed == no_axes) return g.put({.term = term_code<terms::identity>});
    return g.put({.term = term_code<Term>, .to = made, .from = consumed});
  };
  const auto of_operator = [&g](node_index i) {
    return g[i].is<terms::adjoint>() ? effect{g[g[i].a].to, g[g[i].a].from} : effect_of(g, i);
  };
  if (n.is<terms::ones_for>()) return g.put({.term = term_code<terms::one>, .to = g[n.a].from});
  if (n.is<terms::spread>()) return over(terms::expand{}, g[n.b].to - g[n.a].to, no_axes);
  if (n.is<terms::repeat_made>()) return over(terms::expand{}, of_operator(n.a).to, no_axes);
  if (n.is<terms::repeat_consumed>()) return over(terms::expand{}, of_operator(n.a).from, no_axes);
  if (n.is<terms::sum_made>()) return over(terms::contract{}, no_axes, of_operator(n.a).to);
  if (n.is<terms::sum_consumed>()) return over(terms::contract{}, no_axes, of_operator(n.a).from);
  return absent;
}

/// The result of a rule with its symbols replaced.
constexpr node_index substitute(const graph<side_capacity>& result, node_index i, workspace& g, const binding& bound) {
  node n = result[i];
  if (is_wildcard(n)) return bound[n.id];
  if (names_operator(n)) {
    const node shape = g[bound[n.id]];
    n.to = shape.to;
    n.from = shape.from;
    n.id = shape.id;  // of Attend: its window
  }
  if (n.a != absent) n.a = substitute(result, n.a, g, bound);
  if (n.b != absent) n.b = substitute(result, n.b, g, bound);
  if (const node_index made = built_in(g, n); made != absent) return made;
  if (n.is<terms::applied>() && g[n.a].is<terms::identity>()) return n.b;  // nothing to repeat
  return g.put(inferred(g, n));
}

/// Puts a row together. A row whose sides are of different sorts, or whose result or condition uses a symbol that the
/// pattern does not bind, does not compile.
constexpr rule row(std::string_view name, const side& pattern, const side& result, rule_class is,
                   std::string_view source, std::string_view reason, condition when = always) {
  if (pattern.top().is_stream() != result.top().is_stream())
    throw user_error("both sides of a rule must be streams, or both operators");
  const auto binds = [&pattern](std::string_view symbol) {
    return any_of(pattern.g, pattern.root,
                  [symbol](const node& n) { return (is_wildcard(n) || names_operator(n)) && n.id == symbol; });
  };
  for (node_index i = 0; i < result.g.size; ++i)
    if ((is_wildcard(result.g[i]) || names_operator(result.g[i])) && !binds(result.g[i].id))
      throw user_error("the result of a rule uses a symbol that its pattern does not bind");
  for (std::size_t k = 0; k < when.symbols.size(); ++k)
    if (!binds(when.symbols.substr(k, 1)))
      throw user_error("the condition of a rule uses a symbol that its pattern does not bind");
  return {name, pattern, result, is, source, reason, when};
}

}  // namespace alphaform

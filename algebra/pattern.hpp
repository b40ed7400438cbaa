// A rule is a row of data: a pattern and a result, which are ordinary expressions with wildcards, and a condition on
// the symbols.
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
  stabilising,   ///< the same operator from factors that cannot overflow; taken before evaluating, not part of the
                 ///< normal form
};
constexpr std::string_view text_of(rule_class c) {
  constexpr std::array names{"canonical", "mathematical", "frozen", "remainder", "stabilising"};
  return names[static_cast<std::size_t>(c)];
}

/// A predicate over what one symbol of the pattern stands for.
struct condition final {
  std::string_view text{};
  bool (*holds)(const workspace&, node_index) = nullptr;
  std::string_view symbol{};
};
inline constexpr condition always{};

struct rule final {
  std::string_view name;
  expr pattern, result;
  rule_class is;
  std::string_view source;  ///< where the identity comes from
  std::string_view reason;  ///< one sentence for the reader of a derivation
  condition when;
};

/// What the symbols of a pattern stand for. A symbol is one letter from p to z.
struct binding final {
  node_index to[11]{absent, absent, absent, absent, absent, absent, absent, absent, absent, absent, absent};
  constexpr node_index& operator[](std::string_view symbol) { return to[symbol[0] - 'p']; }
  constexpr node_index operator[](std::string_view symbol) const { return to[symbol[0] - 'p']; }
};

constexpr bool is_wildcard(const node& n) { return n.is<terms::any_stream>() || n.is<terms::any_operator>(); }

/// Does the term at `j` have the form of the pattern at `i`? Fills in the binding.
constexpr bool match(const graph<160>& pattern, node_index i, const workspace& g, node_index j, binding& bound) {
  const node &want = pattern[i], &have = g[j];
  if (is_wildcard(want)) {
    if (want.is<terms::any_stream>() != have.is_stream()) return false;
    node_index& at = bound[want.id];
    if (at == absent) at = j;
    return at == j;
  }
  if (want.term != have.term || want.function != have.function) return false;
  if (!want.id.empty() && want.id != have.id) return false;
  return (want.a == absent || match(pattern, want.a, g, have.a, bound)) &&
         (want.b == absent || match(pattern, want.b, g, have.b, bound));
}

/// The result of a rule with its symbols replaced.
constexpr node_index substitute(const graph<160>& result, node_index i, workspace& g, const binding& bound) {
  node n = result[i];
  if (is_wildcard(n)) return bound[n.id];
  if (n.a != absent) n.a = substitute(result, n.a, g, bound);
  if (n.b != absent) n.b = substitute(result, n.b, g, bound);
  if (n.is<terms::ones_for>()) return g.put({.term = term_code<terms::one>, .to = g[n.a].from});
  return g.put(inferred(g, n));
}

/// Puts a row together. A row whose sides are of different sorts, or whose result or condition uses a symbol that the
/// pattern does not bind, does not compile.
constexpr rule row(std::string_view name, const expr& pattern, const expr& result, rule_class is,
                   std::string_view source, std::string_view reason, condition when = always) {
  if (pattern.top().is_stream() != result.top().is_stream())
    throw user_error("both sides of a rule must be streams, or both operators");
  const auto binds = [&pattern](std::string_view symbol) {
    return any_of(pattern.g, pattern.root, [symbol](const node& n) { return is_wildcard(n) && n.id == symbol; });
  };
  for (node_index i = 0; i < result.g.size; ++i)
    if (is_wildcard(result.g[i]) && !binds(result.g[i].id))
      throw user_error("the result of a rule uses a symbol that its pattern does not bind");
  if (!when.symbol.empty() && !binds(when.symbol))
    throw user_error("the condition of a rule uses a symbol that its pattern does not bind");
  return {name, pattern, result, is, source, reason, when};
}

}  // namespace alphaform

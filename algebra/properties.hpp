// Properties of terms that conditions of rules and sentences of documents ask for. Each is one short recursion over the
// graph.
#pragma once
#include <alphaform/algebra/infer.hpp>

namespace alphaform {

/// The input stream at which the value path starts.
inline constexpr std::string_view value_input = "x";

/// For every node up to `i`, whether the term at `i` has it. `closed(node)` says whose arguments do not count. Linear
/// in the graph: arguments come before their node.
template <class Graph, class Closed>
constexpr buffer<char> parts_within(const Graph& g, node_index i, Closed closed) {
  buffer<char> needed(i + 1u, 0);
  needed[i] = 1;
  for (int k = i; k >= 0; --k) {
    if (needed[static_cast<std::size_t>(k)] == 0) continue;
    const node& n = g[static_cast<node_index>(k)];
    if (closed(n)) continue;
    if (n.a != absent) needed[n.a] = 1;
    if (n.b != absent) needed[n.b] = 1;
  }
  return needed;
}

/// Of the stream of inverse_size and of the taps of Lags, only the size counts.
constexpr bool only_counts(const node& n) { return one_of<terms::inverse_size, terms::lags>(n.term); }

/// Does a term occur in the subgraph of `i` for which `is` holds?
template <class Graph, class Predicate>
constexpr bool any_of(const Graph& g, node_index i, Predicate is) {
  if (i == absent) return false;
  const buffer<char> needed = parts_within(g, i, only_counts);
  for (node_index k = 0; k <= i; ++k)
    if (needed[k] != 0 && is(g[k])) return true;
  return false;
}

/// Changing the stream `v` does not change the term; what is held does not change.
template <class Graph>
constexpr bool independent(const Graph& g, node_index i, node_index v) {
  if (i < v) return true;  // arguments come before their node
  const auto constant = [&g, v](const node& n) { return only_counts(n) || n.is<terms::held>() || n == g[v]; };
  return parts_within(g, i, constant)[v] == 0;
}

/// The stream, or what an operator does to a token, is the same for every token: only parameters and constants, and
/// nothing that tells tokens apart.
template <class Graph>
constexpr bool same_for_every_token(const Graph& g, node_index i) {
  return !any_of(g, i, [](const node& n) {
    return one_of<terms::input, terms::conv, terms::lags, terms::delay, terms::reverse, terms::permute,
                  terms::every_token, terms::over_tokens, terms::attend, terms::scan, terms::rownorm,
                  terms::bounded_rownorm, terms::peak, terms::prior_peak, terms::frozen, terms::derivative,
                  terms::controls, terms::remainder, terms::retimed>(n.term);
  });
}

/// Every entry is larger than 0, whatever its arguments are.
template <class Graph>
constexpr bool positive(const Graph& g, node_index i) {
  const node& n = g[i];
  if (n.is<terms::function>() && n.function == function_code<functions::reciprocal>) return positive(g, n.a);
  if (n.is<terms::times>() || n.is<terms::plus>()) return positive(g, n.a) && positive(g, n.b);
  if (n.is<terms::applied>() && g[n.a].template is<terms::expand>()) return positive(g, n.b);
  return n.is<terms::one>() || n.is<terms::inverse_size>() ||
         (n.is<terms::function>() &&
          (n.function == function_code<functions::exp> || n.function == function_code<functions::sigmoid> ||
           n.function == function_code<functions::softplus>));
}

/// What an operator does along tokens and axes, for the question whether two operators commute: it mixes entries along
/// some axes, and along others does something else for each entry.
struct signature final {
  axes mixes{}, varies{};
  bool mixes_tokens = false, varies_over_tokens = false;
  bool shift_invariant = true;  ///< what mixes tokens is a filter with the same weights everywhere, zero outside
  bool reads_earlier = false, reads_later = false;  ///< tokens that it mixes
  bool known = true;                                ///< false for markers and normalised rows, of which nothing is said

  constexpr signature joined(const signature& o) const {
    return {mixes | o.mixes,
            varies | o.varies,
            mixes_tokens || o.mixes_tokens,
            varies_over_tokens || o.varies_over_tokens,
            shift_invariant && o.shift_invariant,
            reads_earlier || o.reads_earlier,
            reads_later || o.reads_later,
            known && o.known};
  }
};

template <class Graph>
constexpr signature signature_of(const Graph& g, node_index i) {
  const node& n = g[i];
  signature s;
  if (one_of<terms::sum, terms::paths, terms::product>(n.term))
    return signature_of(g, n.a).joined(signature_of(g, n.b));
  if (n.is<terms::adjoint>()) {
    s = signature_of(g, n.a);
    const bool earlier = s.reads_earlier;
    s.reads_earlier = s.reads_later;
    s.reads_later = earlier;
    return s;
  }
  if (n.is<terms::identity>() || n.is<terms::zero>()) return s;
  if (n.is<terms::diag>()) {
    s.varies = g[n.a].to;
    s.varies_over_tokens = !same_for_every_token(g, n.a);
  } else if (n.is<terms::conv>()) {
    s.varies = g[n.a].to - tap;
    s.mixes_tokens = s.reads_earlier = true;
    s.shift_invariant = same_for_every_token(g, n.a);
  } else if (n.is<terms::lags>()) {
    s.mixes = tap;
    s.mixes_tokens = s.reads_earlier = true;
    s.shift_invariant = false;  // it would pass a filter, but Reverse has no form of it that looks the other way
  } else if (n.is<terms::delay>()) {
    s.mixes_tokens = s.reads_earlier = true;
  } else if (one_of<terms::reverse, terms::permute, terms::every_token, terms::over_tokens>(n.term)) {
    s.mixes_tokens = s.reads_earlier = s.reads_later = true;
    s.shift_invariant = false;
  } else if (n.is<terms::mix>()) {
    s.mixes = n.from | n.to;
    s.varies = g[n.a].to - s.mixes;
    s.varies_over_tokens = !same_for_every_token(g, n.a);
  } else if (one_of<terms::expand, terms::contract, terms::embed, terms::real, terms::turn>(n.term)) {
    s.mixes = n.from | n.to;
  } else if (n.is<terms::attend>()) {
    s.varies = n.from;
    s.mixes_tokens = s.reads_earlier = true;
    s.shift_invariant = false;
  } else if (n.is<terms::scan>()) {
    s = signature_of(g, n.a);
    s.shift_invariant = s.known && !s.varies_over_tokens && !s.mixes_tokens;
    s.mixes_tokens = s.reads_earlier = true;
  } else {
    s.known = false;
  }
  if (s.varies_over_tokens) s.shift_invariant = false;
  return s;
}

/// What a recurrence can carry: an operator that works within a token.
template <class Graph>
constexpr bool works_within_tokens(const Graph& g, node_index i) {
  const signature s = signature_of(g, i);
  return !s.known || !s.mixes_tokens;
}

/// P Q = Q P, by what each mixes and along what each varies. Filters commute with filters of the same direction: at the
/// ends of a text, one of each does not.
constexpr bool commute(const signature& p, const signature& q) {
  if (!p.known || !q.known) return false;
  if (p.mixes.touches(q.mixes | q.varies) || q.mixes.touches(p.varies)) return false;
  if (p.mixes_tokens && q.mixes_tokens) {
    const signature both = p.joined(q);
    return both.shift_invariant && !(both.reads_earlier && both.reads_later);
  }
  return !(p.mixes_tokens && q.varies_over_tokens) && !(q.mixes_tokens && p.varies_over_tokens);
}

}  // namespace alphaform

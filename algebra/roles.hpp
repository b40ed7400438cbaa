// What each factor of an implicit attention is there for. The core is the part that carries tokens forward; every other
// factor is named by where it stands beside it. The paper's ablations (Table 4) leave out one role at a time.
#pragma once
#include <alphaform/algebra/derive.hpp>

namespace alphaform {

enum class role : std::uint8_t {
  filter,      ///< Conv, or a token shift
  activation,  ///< Diag of an activation's gate: sigma, step ... of what stands right of it
  gate,        ///< another Diag that an input controls
  core,        ///< the recurrence or Attend, from what it is written with to what reads it
  normaliser,  ///< Diag that divides the rows of the core by their sums
  skip,        ///< the token itself, beside the core
  norm,        ///< the statistic of a norm, its weight and its centring projector
  projection,  ///< Mix
  other
};
inline constexpr std::array role_names{"filter", "activation", "gate",       "core", "normaliser",
                                       "skip",   "norm",       "projection", "other"};
constexpr std::string_view text_of(role r) { return role_names[static_cast<std::size_t>(r)]; }

namespace roles {

/// What stands around a term: beside the core, or in one product with it.
struct place final {
  axes outer{};              ///< of the streams between the factors of H, beside what a core makes for itself
  bool beside_core = false;  ///< a summand of a sum that has a core
  bool after_core = false;   ///< directly right of the core: what it is written with
};

template <class Graph>
constexpr bool calls(const Graph& g, node_index i, code function) {
  return g[i].template is<terms::function>() && g[i].function == function;
}
constexpr bool carries_tokens(const node& n) { return n.is<terms::scan>() || n.is<terms::attend>(); }

/// Is the core in the operator, seen through sums, products and normalisations?
template <class Graph>
constexpr bool has_core(const Graph& g, node_index i) {
  if (carries_tokens(g[i])) return true;
  if (!is_composite(g[i]) || g[i].is_stream()) return false;
  return has_core(g, g[i].a) || (g[i].b != absent && has_core(g, g[i].b));
}
template <class Graph>
constexpr bool controlled(const Graph& g, node_index s) {
  return any_of(g, s, [](const node& n) { return n.is<terms::input>(); });
}

/// 1 / (P 1), or 1 / max(|P 1|, 1)
template <class Graph>
constexpr bool divides_rows(const Graph& g, node_index s) {
  if (!calls(g, s, function_code<functions::reciprocal>)) return false;
  return any_of(g, g[s].a, [&g](const node& n) { return n.is<terms::applied>() && g[n.b].template is<terms::one>(); });
}
/// 1 / sqrt(a sum over an axis + epsilon)
template <class Graph>
constexpr bool is_statistic(const Graph& g, node_index s) {
  if (g[s].template is<terms::applied>() && g[g[s].a].template is<terms::expand>()) return is_statistic(g, g[s].b);
  return calls(g, s, function_code<functions::rsqrt>) &&
         any_of(g, s, [](const node& n) { return n.is<terms::contract>(); });
}

/// Is the factor at `k` one of a run of Diags, in front of the core, of which one is the statistic of a norm?
template <class Graph>
constexpr bool has_statistic(const Graph& g, const buffer<node_index>& f, std::size_t k, std::size_t core) {
  const auto is_diag = [&](std::size_t at) { return g[f[at]].template is<terms::diag>(); };
  if (core < f.size() && k > core) return false;
  std::size_t begin = k, end = k;
  while (begin > 0 && is_diag(begin - 1)) --begin;
  while (end < f.size() && is_diag(end)) ++end;
  for (; begin < end; ++begin)
    if (is_statistic(g, g[f[begin]].a)) return true;
  return false;
}
/// I + Diag(-1/n) Expand Contract, in any order of factors.
template <class Graph>
constexpr bool is_centring(const Graph& g, node_index i) {
  if (!g[i].template is<terms::sum>()) return false;
  const bool identity_first = g[g[i].a].template is<terms::identity>();
  if (!identity_first && !g[g[i].b].template is<terms::identity>()) return false;
  buffer<node_index> factors;
  flatten<terms::product>(g, identity_first ? g[i].b : g[i].a, factors);
  if (factors.size() != 3) return false;
  bool all = true;
  for (const node_index f : factors)
    all = all && (one_of<terms::expand, terms::contract>(g[f].term) ||
                  (g[f].template is<terms::diag>() &&
                   any_of(g, g[f].a, [](const node& n) { return n.is<terms::inverse_size>(); })));
  return all;
}

/// Is Diag(s) the gate of an activation of the stream that `rest` makes of the value input: F(argument of s) = rest?
constexpr bool gates_own_argument(workspace& g, node_index s, node_index rest, node_index v) {
  const bool known = calls(g, s, function_code<functions::sigmoid>) || calls(g, s, function_code<functions::step>) ||
                     calls(g, s, function_code<functions::relu>);
  if (!known || independent(g, g[s].a, v)) return false;
  const scheme along = only(rule_class::canonical, rule_class::frozen, rule_class::mathematical);
  const node_index own = exhaust(g, marked<terms::frozen>(g, g[s].a, v), along);
  return left_over(g, own) == absent && exhaust(g, own, normalising) == exhaust(g, rest, normalising);
}

/// Delay Scan ... + Diag(u): the exclusive read and the current token's own weight make one core.
template <class Graph>
constexpr bool is_read_with_bonus(const Graph& g, node_index i) {
  buffer<node_index> summands;
  flatten<terms::sum>(g, i, summands);
  bool delayed = false, others_are_diag = true;
  for (const node_index s : summands) {
    buffer<node_index> factors;
    flatten<terms::product>(g, s, factors);
    bool is_delayed = false;
    for (std::size_t k = 0; k + 1 < factors.size(); ++k)
      is_delayed = is_delayed || (g[factors[k]].template is<terms::delay>() && has_core(g, factors[k + 1]));
    delayed = delayed || is_delayed;
    others_are_diag = others_are_diag && (is_delayed || g[s].template is<terms::diag>());
  }
  return delayed && others_are_diag;
}

/// Sums of Diags and Delays: a filter of two taps.
template <class Graph>
constexpr bool is_shift(const Graph& g, node_index i) {
  const node& n = g[i];
  if (n.template is<terms::sum>() || n.template is<terms::product>()) return is_shift(g, n.a) && is_shift(g, n.b);
  return one_of<terms::diag, terms::delay, terms::identity, terms::conv>(n.term);
}

/// The role of a factor that is no core, product or sum with a core. `rest` is the product right of it.
constexpr role of_factor(workspace& g, node_index i, const place& at, node_index rest, node_index v) {
  const node n = g[i];
  if (at.beside_core && signature_of(g, i).known && !signature_of(g, i).mixes_tokens) return role::skip;
  if (n.is<terms::diag>()) {
    if (divides_rows(g, n.a)) return role::normaliser;
    if (is_statistic(g, n.a)) return role::norm;
    if (gates_own_argument(g, n.a, rest, v)) return role::activation;
    if (at.after_core) return role::core;
    return controlled(g, n.a) ? role::gate : role::other;
  }
  if (one_of<terms::conv, terms::delay, terms::lags>(n.term)) return role::filter;
  if (n.is<terms::mix>()) return role::projection;
  if (is_centring(g, i)) return role::norm;
  if (n.is<terms::sum>() && is_shift(g, i)) return role::filter;
  if (n.is<terms::adjoint>()) return of_factor(g, n.a, at, rest, v);
  return role::other;
}

/// From which to which factor the core goes: the factor that has it, and all between which a stream has axes that the
/// core made for itself; a Delay that reads it belongs to it.
struct range final {
  std::size_t first, last;
};
template <class Graph>
constexpr range core_around(const Graph& g, const buffer<node_index>& f, std::size_t core, axes in) {
  buffer<axes> right_of(f.size() + 1, in);  // the stream right of each factor
  for (std::size_t k = f.size(); k-- > 0;) right_of[k] = after(effect_of(g, f[k]), right_of[k + 1]);
  range r{core, core};
  while (r.first > 0 && !in.contains(right_of[r.first])) --r.first;
  while (r.last + 1 < f.size() && !in.contains(right_of[r.last + 1])) ++r.last;
  if (r.first > 0 && carries_tokens(g[f[core]]) && g[f[r.first - 1]].template is<terms::delay>()) --r.first;
  return r;
}

/// The factors from `begin` to before `end` as a product.
constexpr node_index product_of(workspace& g, const buffer<node_index>& f, std::size_t begin, std::size_t end) {
  buffer<node_index> list;
  for (std::size_t k = begin; k < end; ++k) list.push_back(f[k]);
  return list.empty() ? g.put({.term = term_code<terms::identity>}) : nested<terms::product>(g, list);
}

template <class Visit>
constexpr node_index mapped(workspace& g, node_index i, const place& at, node_index v, Visit& visit);

template <class Visit>
constexpr node_index mapped_product(workspace& g, node_index i, const place& at, node_index v, Visit& visit) {
  buffer<node_index> f, result;
  flatten<terms::product>(g, i, f);
  std::size_t core = f.size();
  for (std::size_t k = f.size(); k-- > 0;)
    if (has_core(g, f[k])) core = k;
  range r = core < f.size() ? core_around(g, f, core, at.outer) : range{f.size(), f.size()};
  const bool whole =
      core < f.size() && (r.last > r.first || carries_tokens(g[f[core]]) || is_read_with_bonus(g, f[core]));
  while (whole && r.last + 1 < f.size() && g[f[r.last + 1]].template is<terms::diag>() &&
         of_factor(g, f[r.last + 1], {.after_core = true}, product_of(g, f, r.last + 2, f.size()), v) == role::core)
    ++r.last;
  for (std::size_t k = 0; k < f.size(); ++k) {
    place here = at;
    here.after_core = core < f.size() ? k == r.last + 1 : at.after_core && k == 0;
    here.beside_core = at.beside_core && core == f.size() && f.size() == 1;
    if (whole && k == r.first) {
      result.push_back(visit(role::core, product_of(g, f, r.first, r.last + 1)));
      k = r.last;
      continue;
    }
    // In front of the core, next to a statistic or to gates between, which commute with it.
    const bool weighs_norm =
        g[f[k]].template is<terms::diag>() && !controlled(g, g[f[k]].a) && has_statistic(g, f, k, core);
    if (weighs_norm) {
      result.push_back(visit(role::norm, f[k]));
    } else if (has_core(g, f[k])) {
      result.push_back(mapped(g, f[k], here, v, visit));
    } else {
      const node_index rest = product_of(g, f, k + 1, f.size());
      result.push_back(visit(of_factor(g, f[k], here, rest, v), f[k]));
    }
  }
  return nested<terms::product>(g, result);
}

/// Visits every factor of the operator with its role, left to right, and puts what `visit` returns in its place.
template <class Visit>
constexpr node_index mapped(workspace& g, node_index i, const place& at, node_index v, Visit& visit) {
  const node n = g[i];
  if (n.is<terms::rownorm>() || n.is<terms::bounded_rownorm>()) {
    node inner = n;
    inner.a = mapped(g, n.a, at, v, visit);
    return visit(role::normaliser, g.put(inferred(g, inner)));
  }
  if ((n.is<terms::sum>() || n.is<terms::paths>()) && has_core(g, i)) {
    if (is_read_with_bonus(g, i)) return visit(role::core, i);
    node both = n;
    place beside = at;
    beside.beside_core = true;
    both.a = mapped(g, n.a, beside, v, visit);
    both.b = mapped(g, n.b, beside, v, visit);
    return g.put(inferred(g, both));
  }
  if (one_of<terms::adjoint, terms::retimed>(n.term) && has_core(g, i)) return visit(role::core, i);
  return mapped_product(g, i, at, v, visit);
}

/// H with its normalisations written out as Diags.
constexpr node_index opened(workspace& g, node_index H) {
  return exhaust(g, H, only(rule_class::canonical, rule_class::mathematical));
}

}  // namespace roles

/// Calls visit(role, factor) for every factor of the operator H, left to right. A core that consists of several factors
/// is visited once, as their product.
template <class Visit>
constexpr node_index map_roles(workspace& g, node_index H, std::string_view value, Visit visit) {
  const node_index v = variable(g, H, value);
  return roles::mapped(g, H, {.outer = g[H].from | g[H].to}, v, visit);
}

}  // namespace alphaform

// The axes of a term from the axes of its arguments: what a stream has, what an operator consumes (`from`) and makes
// (`to`).
#pragma once
#include <alphaform/algebra/graph.hpp>

namespace alphaform {

struct effect final {
  axes from{}, to{};
};

/// The effect of P Q, where Q acts first. Axes that neither names pass through.
constexpr effect in_series(effect p, effect q) {
  if (p.from == any_axes || q.from == any_axes) return {any_axes, any_axes};
  return {q.from | (p.from - q.to), (q.to - p.from) | p.to};
}
/// The effect of P + Q: both read the same stream.
constexpr effect in_parallel(effect p, effect q) {
  if (p.from == any_axes || q.from == any_axes) return {any_axes, any_axes};
  return {p.from | q.from, p.to | q.to | ((p.from | q.from) - (p.from - p.to))};
}
/// What an operator makes of a stream with the axes `in`.
constexpr axes after(effect p, axes in) {
  return p.from == any_axes || in == any_axes ? any_axes : (in - p.from) | p.to;
}

template <class Graph>
constexpr effect effect_of(const Graph& g, node_index i) {
  return {g[i].from, g[i].to};
}

/// Fills in `from` and `to` of a node whose arguments are in `g`; leaves (inputs, parameters, Expand ...) and Mix bring
/// their own.
template <class Graph>
constexpr node inferred(const Graph& g, node n) {
  const auto set = [&n](effect e) { n.from = e.from, n.to = e.to; };
  const auto known = [](axes a, axes b) { return a == any_axes || b == any_axes ? any_axes : a | b; };
  if (one_of<terms::function, terms::held, terms::remainder>(n.term)) n.to = g[n.a].to;
  if (one_of<terms::times, terms::plus, terms::larger, terms::peak, terms::prior_peak>(n.term))
    n.to = known(g[n.a].to, g[n.b].to);
  if (n.is<terms::applied>()) n.to = after(effect_of(g, n.a), g[n.b].to);
  if (n.is<terms::diag>()) set({g[n.a].to, g[n.a].to});
  if (n.is<terms::conv>()) {
    const axes kept = g[n.a].to == any_axes ? any_axes : g[n.a].to - tap;
    set({kept, kept});
  }
  if (n.is<terms::lags>()) set(g[n.a].to == any_axes ? effect{any_axes, any_axes} : effect{no_axes, tap});
  if (n.is<terms::attend>()) {
    const axes kept = known(g[n.a].to, g[n.b].to) == any_axes ? any_axes : known(g[n.a].to, g[n.b].to) - state;
    set({kept, kept});
  }
  if (one_of<terms::scan, terms::rownorm, terms::bounded_rownorm, terms::retimed>(n.term)) set(effect_of(g, n.a));
  if (n.is<terms::adjoint>()) set({g[n.a].to, g[n.a].from});
  if (n.is<terms::product>()) set(in_series(effect_of(g, n.a), effect_of(g, n.b)));
  if (n.is<terms::sum>() || n.is<terms::paths>()) set(in_parallel(effect_of(g, n.a), effect_of(g, n.b)));
  if (one_of<terms::frozen, terms::derivative, terms::controls>(n.term)) set({g[n.b].to, g[n.a].to});
  return n;
}

}  // namespace alphaform

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

template <std::size_t N>
constexpr effect effect_of(const graph<N>& g, node_index i) {
  return {g[i].from, g[i].to};
}

/// Fills in `from` and `to` of a node whose arguments are in `g`; leaves (inputs, parameters, Expand ...) bring their
/// own.
template <std::size_t N>
constexpr node inferred(const graph<N>& g, node n) {
  const auto set = [&n](effect e) { n.from = e.from, n.to = e.to; };
  if (n.is<terms::function>() || n.is<terms::remainder>()) n.to = g[n.a].to;
  if (n.is<terms::times>() || n.is<terms::plus>() || n.is<terms::larger>() || n.is<terms::peak>() ||
      n.is<terms::prior_peak>())
    n.to = g[n.a].to == any_axes || g[n.b].to == any_axes ? any_axes : g[n.a].to | g[n.b].to;
  if (n.is<terms::applied>()) n.to = after(effect_of(g, n.a), g[n.b].to);
  if (n.is<terms::diag>()) set({g[n.a].to, g[n.a].to});
  if (n.is<terms::conv>()) set({g[n.a].to, g[n.a].to});
  if (n.is<terms::scan>() || n.is<terms::rownorm>()) set(effect_of(g, n.a));
  if (n.is<terms::product>()) set(in_series(effect_of(g, n.a), effect_of(g, n.b)));
  if (n.is<terms::sum>()) set(in_parallel(effect_of(g, n.a), effect_of(g, n.b)));
  if (n.is<terms::frozen>()) set({any_axes, any_axes});
  return n;
}

}  // namespace alphaform

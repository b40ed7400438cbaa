// The letters in which rules are written. x, y, z, w are streams, p, q, r operators; v is the stream with respect to
// which a marker is meant.
#pragma once
#include <alphaform/algebra/pattern.hpp>

namespace alphaform::rows {

constexpr side s(std::string_view symbol) { return build::leaf<terms::any_stream, side_capacity>(symbol, any_axes); }
constexpr side o(std::string_view symbol) {
  return build::leaf<terms::any_operator, side_capacity>(symbol, any_axes, any_axes);
}
inline constexpr side x = s("x"), y = s("y"), z = s("z"), w = s("w"), v = s("v"), p = o("p"), q = o("q"), r = o("r");

template <class Term>
constexpr side leaf(std::string_view symbol = {}) {
  return build::leaf<Term, side_capacity>(symbol);
}
inline constexpr side I = leaf<terms::identity>(), O = leaf<terms::zero>(), none = leaf<terms::nothing>(),
                      one = leaf<terms::one>(), Delay = leaf<terms::delay>(), Reverse = leaf<terms::reverse>(),
                      Turn = build::leaf<terms::turn, side_capacity>({}, part, part),
                      Embed = build::leaf<terms::embed, side_capacity>({}, part),
                      Re = build::leaf<terms::real, side_capacity>({}, {}, part);
/// Along the axes of whatever the symbol matches.
constexpr side expand(std::string_view symbol) { return build::leaf<terms::expand, side_capacity>(symbol, any_axes); }
constexpr side contract(std::string_view symbol) {
  return build::leaf<terms::contract, side_capacity>(symbol, {}, any_axes);
}
/// A quarter turn, on the axis of whatever the symbol matches.
constexpr side quarter(std::string_view symbol) {
  return build::leaf<terms::turn, side_capacity>(symbol, any_axes, any_axes);
}
/// Over one given axis.
constexpr side sum_over(axes a) { return build::leaf<terms::contract, side_capacity>({}, {}, a); }
constexpr side mix(std::string_view symbol, const side& weight) {
  return build::mix(weight, any_axes, any_axes, symbol);
}
constexpr side number(std::string_view decimals) { return build::leaf<terms::number, side_capacity>(decimals); }

// clang-format off
// ---- markers, with respect to v
constexpr side F(const side& a) { return build::with<terms::frozen>(a, v); }
constexpr side J(const side& a) { return build::with<terms::derivative>(a, v); }
constexpr side G(const side& a) { return build::with<terms::controls>(a, v); }
constexpr side R(const side& a) { return build::with<terms::remainder>(a, v); }
constexpr side held(const side& a) { return build::with<terms::held>(a); }
constexpr side retimed(const side& a) { return build::with<terms::retimed>(a); }

// ---- operators
constexpr side D(const side& a) { return build::with<terms::diag>(a); }
constexpr side S(const side& a) { return build::with<terms::scan>(a); }
constexpr side C(const side& a) { return build::with<terms::conv>(a); }
constexpr side lags(const side& a) { return build::with<terms::lags>(a); }
constexpr side N(const side& a) { return build::with<terms::rownorm>(a); }
constexpr side N1(const side& a) { return build::with<terms::bounded_rownorm>(a); }
constexpr side attend(const side& a, const side& b) { return build::with<terms::attend>(a, b, "p"); }  ///< any window
constexpr side adj(const side& a) { return build::with<terms::adjoint>(a); }
constexpr side then(const side& a, const side& b) { return build::with<terms::product>(a, b); }  ///< a b: b acts first
constexpr side both(const side& a, const side& b) { return build::with<terms::sum>(a, b); }
constexpr side either(const side& a, const side& b) { return build::with<terms::paths>(a, b); }
constexpr side minus_one() { return D(number("-1")); }

// ---- streams
constexpr side at(const side& a, const side& b) { return build::with<terms::applied>(a, b); }
constexpr side add(const side& a, const side& b) { return build::with<terms::plus>(a, b); }
constexpr side mul(const side& a, const side& b) { return build::with<terms::times>(a, b); }
constexpr side peak(const side& a, const side& b) { return build::with<terms::peak>(a, b); }
constexpr side prior(const side& a, const side& b) { return build::with<terms::prior_peak>(a, b); }
constexpr side max(const side& a, const side& b) { return build::with<terms::larger>(a, b); }
template <class Function> constexpr side f(const side& a) { return build::call<Function>(a); }
constexpr side minus(const side& a, const side& b) { return add(a, f<functions::neg>(b)); }

// ---- built-ins of results
constexpr side ones(const side& a) { return build::with<terms::ones_for>(a); }
constexpr side spread(const side& narrow, const side& wide) { return build::with<terms::spread>(narrow, wide); }
constexpr side repeat_made(const side& a) { return build::with<terms::repeat_made>(a); }
constexpr side repeat_consumed(const side& a) { return build::with<terms::repeat_consumed>(a); }
constexpr side sum_made(const side& a) { return build::with<terms::sum_made>(a); }
constexpr side sum_consumed(const side& a) { return build::with<terms::sum_consumed>(a); }
/// The stream `narrow`, repeated to the axes of `wide`.
constexpr side widened(const side& narrow, const side& wide) { return at(spread(narrow, wide), narrow); }
// clang-format on

// ---- conditions
inline constexpr condition independent_of_v{
    "does not depend on v", [](const workspace& g, const binding& b) { return independent(g, b["x"], b["v"]); }, "xv"};
inline constexpr condition v_is_parameter{
    "v is a parameter", [](const workspace& g, const binding& b) { return g[b["v"]].is<terms::parameter>(); }, "v"};

/// The slope of a function, as an expression of x.
struct symbolic final {
  side e;
  template <class Function>
  static constexpr symbolic call(const symbolic& a) {
    return {build::call<Function>(a.e)};
  }
  static constexpr symbolic constant(std::string_view decimals) { return {number(decimals)}; }
  friend constexpr symbolic operator+(const symbolic& a, const symbolic& b) { return {add(a.e, b.e)}; }
  friend constexpr symbolic operator*(const symbolic& a, const symbolic& b) { return {mul(a.e, b.e)}; }
  friend constexpr symbolic operator-(const symbolic& a) { return {f<functions::neg>(a.e)}; }
};

}  // namespace alphaform::rows

// Every rule that alphaform knows, one row each. Symbols: x, y, z are streams, p, q, r are operators.
// F(s) is the derivative of s along the value path with every control frozen, R(s) what it leaves: s = F(s) x + R(s).
#pragma once
#include <alphaform/algebra/pattern.hpp>
#include <array>

namespace alphaform {

namespace rows {
constexpr expr s(std::string_view symbol) { return build::leaf<terms::any_stream>(symbol, any_axes); }
constexpr expr o(std::string_view symbol) { return build::leaf<terms::any_operator>(symbol, any_axes, any_axes); }
inline constexpr expr x = s("x"), y = s("y"), z = s("z"), p = o("p"), q = o("q"), r = o("r");
inline constexpr expr I = build::leaf<terms::identity>(), O = build::leaf<terms::zero>(),
                      none = build::leaf<terms::nothing>();
inline constexpr expr value = build::leaf<terms::input>(value_input, any_axes);
inline constexpr expr Delay = build::leaf<terms::delay>();

constexpr expr F(const expr& a) { return build::with<terms::frozen>(a); }
constexpr expr R(const expr& a) { return build::with<terms::remainder>(a); }
constexpr expr D(const expr& a) { return build::with<terms::diag>(a); }
constexpr expr S(const expr& a) { return build::with<terms::scan>(a); }
constexpr expr N(const expr& a) { return build::with<terms::rownorm>(a); }
constexpr expr at(const expr& a, const expr& b) { return build::with<terms::applied>(a, b); }
constexpr expr then(const expr& a, const expr& b) { return build::with<terms::product>(a, b); }  ///< a b: b acts first
constexpr expr both(const expr& a, const expr& b) { return build::with<terms::sum>(a, b); }
constexpr expr add(const expr& a, const expr& b) { return build::with<terms::plus>(a, b); }
constexpr expr exp(const expr& a) { return build::call<functions::exp>(a); }
constexpr expr minus(const expr& a, const expr& b) { return add(a, build::call<functions::neg>(b)); }
constexpr expr silu(const expr& a) { return build::call<functions::silu>(a); }
constexpr expr sigmoid(const expr& a) { return build::call<functions::sigmoid>(a); }
constexpr expr ones(const expr& a) { return build::with<terms::ones_for>(a); }

/// "does not contain the value input"
constexpr condition independent(std::string_view symbol) {
  return {"does not depend on the value path",
          [](const workspace& g, node_index i) { return independent_of_value(g, i); }, symbol};
}

// The stabilised exclusive recurrence: p_t = max(p_{t-1} + decay, key) keeps every exponent below or at 0.
inline constexpr expr key = z, log_decay = x, log_bonus = y;
inline constexpr expr peak_now = build::with<terms::peak>(log_decay, key),
                      peak_before = build::with<terms::prior_peak>(log_decay, key);
inline constexpr expr row_peak = build::with<terms::larger>(peak_before, add(log_bonus, key));
}  // namespace rows

inline constexpr auto rules = [] {
  using namespace rows;
  constexpr auto canonical = rule_class::canonical, mathematical = rule_class::mathematical,
                 frozen = rule_class::frozen, remainder = rule_class::remainder, stabilising = rule_class::stabilising;
  return std::array{
      // -- frozen derivative
      row("value input", F(value), I, canonical, "definition of F", "The value input is the variable of H itself."),
      row("independent", F(x), O, frozen, "definition of F",
          "What does not depend on the value path contributes to the remainder r, not to H.", independent("x")),
      row("operator", F(at(p, x)), then(p, F(x)), frozen, "definition of F",
          "An operator is linear once the streams that control it are frozen."),
      row("activation silu", F(silu(x)), then(D(sigmoid(x)), F(x)), frozen, "paper Sec. 3.1, text before Eq. 8",
          "SiLU(s) = sigma(s) s exactly, so the activation is a Diag that the data controls."),
      row("sum", F(add(x, y)), both(F(x), F(y)), canonical, "linearity", "F of a sum is the sum."),
      row("row normalisation", N(p), then(D(build::call<functions::reciprocal>(at(p, ones(p)))), p), mathematical,
          "paper Eq. 20", "Dividing the rows of P by their sums is a Diag of 1 / (P 1), frozen like every control."),
      // -- remainder
      row("remainder of the value", R(value), none, remainder, "definition of R", "The value input leaves nothing."),
      row("remainder of independent", R(x), x, remainder, "definition of R", "All of it.", independent("x")),
      row("remainder of a sum", R(add(x, y)), add(R(x), R(y)), remainder, "linearity", "R of a sum is the sum."),
      row("remainder through operator", R(at(p, x)), at(p, R(x)), remainder, "linearity", "P (H x + r) = P H x + P r."),
      row("remainder through silu", R(silu(x)), at(D(sigmoid(x)), R(x)), remainder, "paper Sec. 3.1",
          "The bias passes through the same Diag."),
      // -- identities and zeros
      row("I P", then(I, p), p, canonical, "identity", ""),
      row("P I", then(p, I), p, canonical, "identity", ""),
      row("0 P", then(O, p), O, canonical, "zero", ""),
      row("P 0", then(p, O), O, canonical, "zero", ""),
      row("P + 0", both(p, O), p, canonical, "zero", ""),
      row("0 + P", both(O, p), p, canonical, "zero", ""),
      row("(P Q) R", then(then(p, q), r), then(p, then(q, r)), canonical, "associativity", ""),
      row("(P + Q) + R", both(both(p, q), r), both(p, both(q, r)), canonical, "associativity", ""),
      row("I x", at(I, x), x, canonical, "identity", ""),
      row("P nothing", at(p, none), none, canonical, "zero", ""),
      row("x + nothing", add(x, none), x, canonical, "zero", ""),
      row("nothing + x", add(none, x), x, canonical, "zero", ""),
      row("P (Q x)", at(p, at(q, x)), at(then(p, q), x), canonical, "associativity", ""),
      // -- before evaluating
      row("running maximum", N(then(both(then(Delay, S(D(exp(x)))), D(exp(y))), D(exp(z)))),
          N(both(then(D(exp(minus(peak_before, row_peak))),
                      then(Delay, then(S(D(exp(minus(add(log_decay, peak_before), peak_now)))),
                                       D(exp(minus(key, peak_now)))))),
                 D(exp(minus(add(log_bonus, key), row_peak))))),
          stabilising, "Milakov and Gimelshein 2018; RWKV-4's own kernel",
          "RowNorm does not see a positive factor of a row: with the running maximum p_t = max(p_{t-1} + log decay, "
          "key) as "
          "reference every exponent is at most 0."),
  };
}();

}  // namespace alphaform

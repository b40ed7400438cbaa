// F(s): the derivative of s along the value path, every control frozen; R(s): what it leaves, s = F(s) v + R(s).
#pragma once
#include <alphaform/algebra/rules/symbols.hpp>

namespace alphaform::rows {

/// What an activation is on the value path: activation(x) = gate(x) x.
struct activation final {
  side of_x, gate;
  std::string_view name, frozen_name, remainder_name, reason;
};
inline constexpr std::array activations{
    activation{f<functions::silu>(x), f<functions::sigmoid>(x), "silu", "activation silu", "remainder through silu",
               "SiLU(x) = sigma(x) x exactly, so the activation is a Diag that the data controls."},
    activation{f<functions::relu>(x), f<functions::step>(x), "relu", "activation relu", "remainder through relu",
               "ReLU(x) = step(x) x exactly, so the activation is a Diag of zeros and ones."},
    activation{f<functions::square>(f<functions::relu>(x)), f<functions::relu>(x), "squared relu",
               "activation squared relu", "remainder through squared relu",
               "ReLU(x) squared = ReLU(x) x exactly, so the activation is a Diag that the data controls."}};
inline constexpr std::string_view activation_source = "paper Sec. 3.1, text before Eq. 8";

inline constexpr auto frozen_rows = [] {
  constexpr auto c = rule_class::canonical, k = rule_class::frozen, m = rule_class::mathematical;
  const auto gate = [](const activation& a) {
    return row(a.frozen_name, F(a.of_x), then(D(a.gate), F(x)), rule_class::frozen, activation_source, a.reason);
  };
  return std::array{
      row("value input", F(v), I, c, "definition of F", "The value input is the variable of H itself."),
      row("independent", F(x), O, k, "definition of F",
          "What does not depend on the value path contributes to the remainder r, not to H.", independent_of_v),
      row("norm", F(at(D(w), at(D(f<functions::rsqrt>(y)), x))), then(D(w), then(D(f<functions::rsqrt>(y)), F(x))), k,
          "RMSNorm: Zhang and Sennrich 2019, Eq. 4",
          "RMSNorm is a Diag of its weight and one of its statistic, the same for all channels of a token and frozen."),
      row("operator", F(at(p, x)), then(p, F(x)), k, "definition of F",
          "An operator is linear once the streams that control it are frozen."),
      gate(activations[0]),
      gate(activations[1]),
      gate(activations[2]),
      row("negation", F(f<functions::neg>(x)), then(minus_one(), F(x)), k, "linearity", "-x is Diag(-1) x."),
      row("sum", F(add(x, y)), both(F(x), F(y)), c, "linearity", "F of a sum is the sum."),
      row("row normalisation", N(p), then(D(f<functions::reciprocal>(at(p, ones(p)))), p), m, "paper Eq. 20",
          "Dividing the rows of P by their sums is a Diag of 1 / (P 1), frozen like every control."),
      row("Reverse and Diag", then(Reverse, D(x)), then(D(at(Reverse, x)), Reverse), m, "J Diag(d) J = Diag(J d)",
          "The factors of the tokens are reversed with the tokens.",
          {"x differs from token to token",
           [](const workspace& g, const binding& b) { return !same_for_every_token(g, b["x"]); }, "x"}),
      row("bounded row normalisation", N1(p),
          then(D(f<functions::reciprocal>(max(f<functions::abs>(at(p, ones(p))), one))), p), m,
          "mLSTM: Beck et al. 2024, Eq. 21",
          "Dividing the rows of P by max(|their sum|, 1) is a Diag, frozen like every control."),
  };
}();

inline constexpr auto remainder_rows = [] {
  constexpr auto k = rule_class::remainder;
  const auto through = [](const activation& a) {
    return row(a.remainder_name, R(a.of_x), at(D(a.gate), R(x)), rule_class::remainder, activation_source,
               "The bias passes through the same Diag.");
  };
  return std::array{
      row("remainder of the value", R(v), none, k, "definition of R", "The value input leaves nothing."),
      row("remainder of independent", R(x), x, k, "definition of R", "All of it.", independent_of_v),
      row("remainder of a sum", R(add(x, y)), add(R(x), R(y)), k, "linearity", "R of a sum is the sum."),
      row("remainder through operator", R(at(p, x)), at(p, R(x)), k, "linearity", "P (H v + r) = P H v + P r."),
      row("remainder of a negation", R(f<functions::neg>(x)), f<functions::neg>(R(x)), k, "linearity", ""),
      through(activations[0]),
      through(activations[1]),
      through(activations[2])};
}();

}  // namespace alphaform::rows

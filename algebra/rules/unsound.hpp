// Tempting and wrong. A row here is never applied: it is what a refusal says, and its two sides must differ.
#pragma once
#include <alphaform/algebra/rules/planning.hpp>

namespace alphaform::rows {

inline constexpr auto unsound_rows = [] {
  constexpr auto k = rule_class::unsound;
  constexpr condition varies{"x differs from token to token",
                             [](const workspace& g, const binding& b) { return !same_for_every_token(g, b["x"]); },
                             "x"};
  const side centring = both(I, then(D(f<functions::neg>(build::inverse_size(y, chan))),
                                     then(build::leaf<terms::expand, side_capacity>({}, chan), sum_over(chan))));
  const side scaled = at(D(x), y);
  return std::array{
      row("Diag and Conv", then(D(x), C(w)), then(C(w), D(x)), k, "a filter reads other tokens",
          "Diag and Conv do not commute: the filter reads tokens that have other factors.", varies),
      row("Diag and Scan", then(D(x), S(p)), then(S(p), D(x)), k, "a recurrence reads other tokens",
          "Diag and Scan do not commute: the recurrence reads tokens that have other factors.", varies),
      row("Diag and Delay", then(D(x), Delay), then(Delay, D(x)), k, "Delay reads another token",
          "Diag and Delay do not commute: Delay reads a token that has another factor.", varies),
      row("Diag inside a decay", S(D(mul(x, y))), then(D(x), S(D(y))), k,
          "S'_t = d_t S_t has the decay d_t/d_{t-1} a_t",
          "A factor of the decay multiplies at every step; it is no factor of the result."),
      row("skip inside a recurrence", both(S(D(x)), D(y)), S(D(add(x, y))), k, "the skip is not carried on",
          "A recurrence plus a skip is no recurrence of the same size."),
      row("bias as a constant", at(C(w), v), at(D(at(sum_over(tap), w)), v), k, "zeros before the first token",
          "A filter makes a constant input token-dependent at the left edge: a bias becomes a remainder, no constant.",
          {"v is a parameter", [](const workspace& g, const binding& b) { return g[b["v"]].is<terms::parameter>(); },
           "v"}),
      row("LayerNorm as a Diag", then(D(x), centring), D(x), k, "the mean is subtracted",
          "LayerNorm is no Diag: it subtracts the mean over channels, which mixes them."),
      row("matrix and filter", then(mix("p", w), C(z)), then(C(z), mix("p", w)), k,
          "channels have filters of their own",
          "A matrix over channels does not pass filters that differ from channel to channel.",
          {"P mixes an axis along which the filters differ, and keeps it",
           [](const workspace& g, const binding& b) {
             return g[b["p"]].from.touches(g[b["z"]].to) && g[b["p"]].from == g[b["p"]].to;
           },
           "pz"}),
      row("matrix and Diag", then(mix("p", w), D(x)), then(D(x), mix("p", w)), k, "channels have factors of their own",
          "A matrix over channels does not pass factors that differ from channel to channel.",
          {"P mixes an axis along which x differs, and keeps it",
           [](const workspace& g, const binding& b) {
             return g[b["p"]].from.touches(g[b["x"]].to) && g[b["p"]].from == g[b["p"]].to;
           },
           "px"}),
      row("scale before a norm", at(D(statistic(scaled, w)), scaled), at(D(statistic(y, w)), y), k,
          "epsilon is inside the root", "A scale in front of a norm cancels only if the norm's epsilon is 0."),
      row("real part of a factor", then(Re, then(p, then(q, Embed))),
          then(then(Re, then(p, Embed)), then(Re, then(q, Embed))), k, "Re(a b) is not Re(a) Re(b)",
          "The real part may be taken of the whole product only."),
      row("sigmoid as a Diag", F(f<functions::sigmoid>(x)), then(D(f<functions::sigmoid>(x)), F(x)), k,
          "sigma(0) = 1/2",
          "sigma(x) is no bounded factor times x, since it is not 0 at 0: stop the value path in front of it, or "
          "gate."),
      row("softplus as a Diag", F(f<functions::softplus>(x)), then(D(f<functions::sigmoid>(x)), F(x)), k,
          "softplus(0) = log 2", "softplus(x) is no bounded factor times x, since it is not 0 at 0."),
      row("exp as a Diag", F(f<functions::exp>(x)), then(D(f<functions::exp>(x)), F(x)), k, "exp(0) = 1",
          "exp(x) is no bounded factor times x, since it is not 0 at 0."),
      row("product of two streams", F(mul(x, y)), then(D(x), F(y)), k, "x y is bilinear",
          "A plain product does not say which factor is the value: write gate(a) * b, which freezes a."),
  };
}();

}  // namespace alphaform::rows

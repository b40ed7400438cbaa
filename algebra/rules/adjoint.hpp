// The transpose of every term. What is left is the transpose of a matrix, of a filter with the same weights for every
// token, of Lags, of Permute or of Attend: leaves of their own. Reverse turns such a filter around. Retimed(P) is P one
// token later in reversed time: the decays that a transposed recurrence needs.
#pragma once
#include <alphaform/algebra/rules/symbols.hpp>

namespace alphaform::rows {

inline constexpr auto adjoint_rows = [] {
  constexpr auto k = rule_class::adjoint, c = rule_class::canonical;
  constexpr condition constant_p{"P is the same for every token",
                                 [](const workspace& g, const binding& b) { return same_for_every_token(g, b["p"]); },
                                 "p"};
  constexpr condition constant_x{"x is the same for every token",
                                 [](const workspace& g, const binding& b) { return same_for_every_token(g, b["x"]); },
                                 "x"};
  constexpr condition varying_p{"P differs from token to token",
                                [](const workspace& g, const binding& b) { return !same_for_every_token(g, b["p"]); },
                                "p"};
  constexpr condition varying_x{"x differs from token to token",
                                [](const workspace& g, const binding& b) { return !same_for_every_token(g, b["x"]); },
                                "x"};
  // Products and sums are taken apart first, so that it does not matter which of their parts are constant.
  constexpr condition constant_part{"P is the same for every token, and no product or sum",
                                    [](const workspace& g, const binding& b) {
                                      return same_for_every_token(g, b["p"]) &&
                                             !one_of<terms::product, terms::sum>(g[b["p"]].term);
                                    },
                                    "p"};
  const side later = D(at(Delay, one));  // 0 for the first token
  const auto turned = [](std::string_view name, const side& from, const side& to, condition when = always) {
    return row(name, then(Reverse, from), then(to, Reverse), rule_class::mathematical, "J Conv J = Conv transposed",
               "Reversed tokens pass a filter that looks the other way.", when);
  };
  return std::array{
      turned("Reverse and Delay", Delay, adj(Delay)),
      turned("Reverse and transposed Delay", adj(Delay), Delay),
      turned("Reverse and a filter", C(x), adj(C(x)), constant_x),
      turned("Reverse and a transposed filter", adj(C(x)), C(x), constant_x),
      turned("Reverse and a constant recurrence", S(p), adj(S(adj(p))), constant_p),
      turned("Reverse and a transposed constant recurrence", adj(S(p)), S(adj(p)), constant_p),
      row("transpose of a product", adj(then(p, q)), then(adj(q), adj(p)), k, "transposition", ""),
      row("transpose of a sum", adj(both(p, q)), both(adj(p), adj(q)), k, "linearity", ""),
      row("transpose of alternatives", adj(either(p, q)), either(adj(p), adj(q)), k, "linearity", ""),
      row("transpose of a transpose", adj(adj(p)), p, k, "transposition", ""),
      row("transpose of I", adj(I), I, k, "transposition", ""),
      row("transpose of 0", adj(O), O, k, "transposition", ""),
      row("transpose of a Diag", adj(D(x)), D(x), k, "transposition", ""),
      row("transpose of Expand", adj(expand("p")), sum_made(p), k, "transposition", ""),
      row("transpose of Contract", adj(contract("p")), repeat_consumed(p), k, "transposition", ""),
      row("transpose of Expand_T", adj(leaf<terms::every_token>()), leaf<terms::over_tokens>(), k, "transposition", ""),
      row("transpose of Contract_T", adj(leaf<terms::over_tokens>()), leaf<terms::every_token>(), k, "transposition",
          ""),
      row("transpose of Reverse", adj(Reverse), Reverse, k, "transposition", ""),
      row("transpose of a quarter turn", adj(quarter("q")), then(minus_one(), quarter("q")), k, "transposition", ""),
      row("transpose of Complex", adj(Embed), Re, k, "transposition", ""),
      row("transpose of Re", adj(Re), Embed, k, "transposition", ""),
      row("transpose of a recurrence", adj(S(p)), then(Reverse, then(S(retimed(adj(p))), Reverse)), k,
          "the recurrence from the last token", "The state of token t comes from token t + 1 by its own transition.",
          varying_p),
      row("transpose of normalised rows", adj(N(p)), then(adj(p), D(f<functions::reciprocal>(at(p, ones(p))))), k,
          "transposition", ""),
      row("transpose of boundedly normalised rows", adj(N1(p)),
          then(adj(p), D(f<functions::reciprocal>(max(f<functions::abs>(at(p, ones(p))), one)))), k, "transposition",
          ""),
      row("retimed Diag", retimed(D(x)), D(at(Delay, at(Reverse, x))), c, "definition of Retimed", "", varying_x),
      row("retimed product", retimed(then(p, q)), then(retimed(p), retimed(q)), c, "definition of Retimed", ""),
      row("retimed sum", retimed(both(p, q)), both(retimed(p), retimed(q)), c, "definition of Retimed", ""),
      row("retimed constant", retimed(p), then(later, p), c, "definition of Retimed",
          "Before the last token there is no later one.", constant_part),
      row("no first token twice", then(later, later), later, c, "0 0 = 0 and 1 1 = 1", ""),
  };
}();

}  // namespace alphaform::rows

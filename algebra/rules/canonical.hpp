// Bookkeeping: identities, zeros, the order of brackets.
#pragma once
#include <alphaform/algebra/rules/symbols.hpp>

namespace alphaform::rows {

inline constexpr auto canonical_rows = [] {
  constexpr auto c = rule_class::canonical;
  constexpr condition constant_x{"x is the same for every token",
                                 [](const workspace& g, const binding& b) { return same_for_every_token(g, b["x"]); },
                                 "x"};
  return std::array{
      row("I P", then(I, p), p, c, "identity", ""),
      row("P I", then(p, I), p, c, "identity", ""),
      row("0 P", then(O, p), O, c, "zero", ""),
      row("P 0", then(p, O), O, c, "zero", ""),
      row("P + 0", both(p, O), p, c, "zero", ""),
      row("0 + P", both(O, p), p, c, "zero", ""),
      row("path 0 on the right", either(p, O), p, c, "zero", ""),
      row("path 0 on the left", either(O, p), p, c, "zero", ""),
      row("Scan 0", S(O), I, c, "zero", "Without a transition the state is the input."),
      row("Diag 1", D(one), I, c, "identity", ""),
      row("Diag 0", D(none), O, c, "zero", ""),
      row("(P Q) R", then(then(p, q), r), then(p, then(q, r)), c, "associativity", ""),
      row("(P + Q) + R", both(both(p, q), r), both(p, both(q, r)), c, "associativity", ""),
      row("I x", at(I, x), x, c, "identity", ""),
      row("0 x", at(O, x), none, c, "zero", ""),
      row("P nothing", at(p, none), none, c, "zero", ""),
      row("P (Q x)", at(p, at(q, x)), at(then(p, q), x), c, "associativity", ""),
      row("x + nothing", add(x, none), x, c, "zero", ""),
      row("nothing + x", add(none, x), x, c, "zero", ""),
      row("x nothing", mul(x, none), none, c, "zero", ""),
      row("nothing x", mul(none, x), none, c, "zero", ""),
      row("x 1", mul(x, one), x, c, "identity", ""),
      row("1 x", mul(one, x), x, c, "identity", ""),
      row("- -x", f<functions::neg>(f<functions::neg>(x)), x, c, "identity", ""),
      row("- nothing", f<functions::neg>(none), none, c, "zero", ""),
      row("held twice", held(held(x)), held(x), c, "definition of held", ""),
      row("Reverse twice", then(Reverse, Reverse), I, c, "T - 1 - (T - 1 - t) = t", ""),
      row("Reverse of a constant", at(Reverse, x), x, c, "definition of Reverse", "", constant_x),
      row("minus one twice", then(minus_one(), minus_one()), I, c, "(-1) (-1) = 1", ""),
      row("a quarter turn twice", then(quarter("p"), quarter("q")), minus_one(), c, "i i = -1", "",
          {"both turn the same axis", [](const workspace& g, const binding& b) { return g[b["p"]].to == g[b["q"]].to; },
           "pq"}),
      row("Re of a real number", then(Re, Embed), I, c, "definition of Re", ""),
      row("Re of an imaginary number", then(Re, then(Turn, Embed)), O, c, "definition of Re", ""),
  };
}();

}  // namespace alphaform::rows

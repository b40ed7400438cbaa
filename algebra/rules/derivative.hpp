// J(s): the true derivative of s with respect to v. An operator that is controlled by v contributes a path of its own:
// its derivative at a held operand. G(s) = J(s) - F(s) collects these paths along the value path.
#pragma once
#include <alphaform/algebra/rules/frozen.hpp>

namespace alphaform::rows {

template <class Function>
inline constexpr auto slope_name = [] {
  constexpr std::string_view before = "slope of ", name = Function::name;
  std::array<char, before.size() + name.size()> text{};
  for (std::size_t k = 0; k < text.size(); ++k) text[k] = k < before.size() ? before[k] : name[k - before.size()];
  return text;
}();

/// One row per function, from its slope.
inline constexpr auto slope_rows = tabulate(functions_tuple, [](auto function) {
  using entry = decltype(function);
  return row({slope_name<entry>.data(), slope_name<entry>.size()}, J(f<entry>(x)),
             then(D(entry::template slope<symbolic>({x}).e), J(x)), rule_class::derivative, "chain rule", "");
});

inline constexpr auto derivative_rows = [] {
  constexpr auto k = rule_class::derivative, c = rule_class::controls, split = rule_class::splitting;
  constexpr side yz = mul(y, z), U = at(attend(x, z), mul(widened(y, yz), widened(z, yz)));
  const auto through_rows = [](const side& normalised) {  // of RowNorm: by what it stands for
    return J(at(normalised, held(x)));
  };
  constexpr side wide_x = widened(x, peak(x, y)), wide_y = widened(y, peak(x, y));
  constexpr side peak_goes_on = f<functions::step>(minus(add(prior(x, y), wide_x), wide_y));
  constexpr condition between_axes{
      "Q makes none of the axes that it consumes",
      [](const workspace& g, const binding& b) { return !g[b["q"]].to.touches(g[b["q"]].from); }, "q"};
  return std::array{
      // -- streams
      row("true derivative of a parameter", J(v), leaf<terms::every_token>(), k, "definition of J",
          "A parameter is the same for every token.", v_is_parameter),
      row("true derivative of v", J(v), I, k, "definition of J", "",
          {"v is no parameter", [](const workspace& g, const binding& b) { return !g[b["v"]].is<terms::parameter>(); },
           "v"}),
      row("true derivative of what is independent", J(x), O, c, "definition of J", "", independent_of_v),
      row("true derivative of a sum", J(add(x, y)), both(J(x), J(y)), k, "linearity", ""),
      row("product rule", J(mul(x, y)),
          both(then(D(widened(x, mul(x, y))), then(spread(y, mul(x, y)), J(y))),
               then(D(widened(y, mul(x, y))), then(spread(x, mul(x, y)), J(x)))),
          k, "product rule", ""),
      row("larger of two", J(max(x, y)),
          both(then(D(f<functions::step>(minus(x, y))), then(spread(x, max(x, y)), J(x))),
               then(D(f<functions::step>(minus(y, x))), then(spread(y, max(x, y)), J(y)))),
          k, "derivative of max", "Where the two are equal there is no derivative; 0 is taken."),
      row("derivative of a running maximum", J(peak(x, y)),
          then(S(D(peak_goes_on)),
               both(then(D(peak_goes_on), then(spread(x, peak(x, y)), J(x))),
                    then(D(f<functions::complement>(peak_goes_on)), then(spread(y, peak(x, y)), J(y))))),
          k, "p = max(p- + x, y), differentiated",
          "While the maximum goes on, it changes with what it was; else with y."),
      row("derivative of a maximum before", J(prior(x, y)), then(Delay, J(peak(x, y))), k,
          "definition of the prior maximum", ""),
      // -- operators at a held operand: what controls them
      row("control of a Diag", J(at(D(x), held(y))), then(D(y), then(spread(x, y), J(x))), c, "product rule",
          "s x = x s: the gate's own derivative, scaled by what it gates."),
      row("control of a product", J(at(then(p, q), held(x))),
          either(J(at(p, held(at(q, x)))), then(p, J(at(q, held(x))))), c, "product rule", ""),
      row("control of a sum", J(at(both(p, q), held(x))), either(J(at(p, held(x))), J(at(q, held(x)))), c, "linearity",
          ""),
      row("control of alternatives", J(at(either(p, q), held(x))), either(J(at(p, held(x))), J(at(q, held(x)))), c,
          "linearity", ""),
      row("control of a recurrence", J(at(S(p), held(x))), then(S(p), J(at(p, held(at(Delay, at(S(p), x)))))), c,
          "h = P h- + x, differentiated",
          "A changed transition acts on the state before it, and the recurrence "
          "carries that on."),
      row("control of a filter", J(at(C(w), held(x))),
          then(sum_over(tap), then(D(at(lags(w), x)), then(spread(w, at(lags(w), x)), J(w)))), c, "product rule", ""),
      row("control of a matrix", J(at(mix("q", w), held(x))),
          then(sum_consumed(q), then(D(at(repeat_made(q), x)), then(spread(w, at(repeat_made(q), x)), J(w)))), c,
          "product rule", "", between_axes),
      row("control of a transposed matrix", J(at(adj(mix("q", w)), held(x))),
          then(sum_made(q), then(D(at(repeat_consumed(q), x)), then(spread(w, at(repeat_consumed(q), x)), J(w)))), c,
          "product rule", "", between_axes),
      row("control of attention", J(at(attend(x, z), held(y))),
          either(then(sum_over(state), then(D(U), then(spread(x, U), J(x)))),
                 then(sum_over(state), then(D(x), then(attend(x, z), then(D(y), then(spread(z, yz), J(z))))))),
          c, "derivative of exp(q k)", "",
          {"y lacks the axis over which queries and keys meet",
           [](const workspace& g, const binding& b) { return !g[b["y"]].to.touches(state); }, "y"}),
      row("control of normalised rows", through_rows(N(p)),
          J(at(then(D(f<functions::reciprocal>(at(p, ones(p)))), p), held(x))), c, "definition of RowNorm", ""),
      row("control of boundedly normalised rows", through_rows(N1(p)),
          J(at(then(D(f<functions::reciprocal>(max(f<functions::abs>(at(p, ones(p))), one))), p), held(x))), c,
          "definition of RowNorm1", ""),
      row("derivative through an operator", J(at(p, x)), both(then(p, J(x)), J(at(p, held(x)))), k, "product rule",
          "The operand changes with the operator held, and the operator with the operand held."),
      // -- alternative paths
      row("path through an operator", then(p, either(q, r)), either(then(p, q), then(p, r)), split, "distributivity",
          ""),
      row("path into an operator", then(either(p, q), r), either(then(p, r), then(q, r)), split, "distributivity", ""),
      row("paths of paths", either(either(p, q), r), either(p, either(q, r)), split, "associativity", ""),
  };
}();

inline constexpr auto control_rows = [] {
  constexpr auto c = rule_class::canonical, k = rule_class::controls;
  const auto gate = [](const activation& a, std::string_view name) {
    return row(name, G(a.of_x), either(then(D(a.gate), G(x)), J(at(D(a.gate), held(x)))), rule_class::controls,
               activation_source, "The activation's gate is itself a path.");
  };
  return std::array{
      row("controls of the value", G(v), O, c, "definition of G", ""),
      row("controls of what is independent", G(x), O, c, "definition of G", "", independent_of_v),
      row("controls of a sum", G(add(x, y)), either(G(x), G(y)), c, "linearity", ""),
      row("controls of an operator", G(at(p, x)), either(then(p, G(x)), J(at(p, held(x)))), k, "product rule",
          "J(P x) = P J(x) + J(P held x): beside the value path, the path through what controls P."),
      gate(activations[0], "controls of silu"),
      gate(activations[1], "controls of relu"),
      gate(activations[2], "controls of squared relu"),
      row("controls of a negation", G(f<functions::neg>(x)), then(minus_one(), G(x)), k, "linearity", ""),
  };
}();

}  // namespace alphaform::rows

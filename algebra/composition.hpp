// Two steps of a recurrence as one. A step h -> P h + u is the pair (P, u); that one step after another is again such a
// pair, and which, follows from the derivative of the composed step and its value at 0, by the rules.
#pragma once
#include <alphaform/algebra/recurrence.hpp>

namespace alphaform {

/// (q, y) after (p, x), where a pair (P, u) is the step h -> P h + u.
struct composition_law final {
  side transition, input;
};

constexpr composition_law compose_steps() {
  const auto symbol = []<class Term>(Term, std::string_view name) {
    return build::leaf<Term>(name, any_axes, Term::is == sort::stream ? no_axes : any_axes);
  };
  const auto step = [&](std::string_view p, std::string_view u, const expr& h) {
    return build::with<terms::plus>(build::with<terms::applied>(symbol(terms::any_operator{}, p), h),
                                    symbol(terms::any_stream{}, u));
  };
  const expr both = step("q", "y", step("p", "x", build::leaf<terms::input>(previous_state, chan)));
  const step_law law = law_of_step(both);
  composition_law c;
  c.transition.root = c.transition.g.take(law.g, law.transition);
  c.input.root = c.input.g.take(law.g, law.input);
  return c;
}

}  // namespace alphaform

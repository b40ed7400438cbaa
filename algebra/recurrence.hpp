// A recurrence given as one step, h_t = step(h_{t-1}). Its transition is the derivative of the step, and a scan law
// exists if and only if that does not contain h: then h_t = P_t h_{t-1} + step_t(0), and the states are Scan(P)
// step(0).
#pragma once
#include <alphaform/algebra/jacobian.hpp>

namespace alphaform {

/// What the previous state is called inside a step.
inline constexpr std::string_view previous_state = "h[t-1]";

/// A step taken apart. `transition` is the derivative of the step, `input` what it makes of the state 0; both are
/// `absent` where there is none.
struct step_law final {
  graph<320> g{};
  node_index transition = absent, input = absent;
  node_index without_derivative = absent;  ///< a term that could not be differentiated
  bool transition_reads_state = false;     ///< the step is not affine in h: it has no scan law
  bool transition_mixes_tokens = false;    ///< the step looks at other tokens than its own
  constexpr bool holds() const {
    return without_derivative == absent && !transition_reads_state && !transition_mixes_tokens;
  }
};

/// The term with every occurrence of `v` replaced.
constexpr node_index replaced(workspace& g, node_index i, node_index v, node_index by, memo& seen) {
  if (i == v) return by;
  if (i == absent || i < v) return i;
  if (seen[i] != absent) return seen[i];
  node n = g[i];
  n.a = replaced(g, n.a, v, by, seen);
  n.b = replaced(g, n.b, v, by, seen);
  const node_index made = g.put(inferred(g, n));
  if (g.labels[made].empty()) g.labels[made] = g.labels[i];
  seen.set(i, made);
  return made;
}

/// Takes a step, a stream of the input h[t-1], apart.
constexpr step_law law_of_step(const expr& step) {
  workspace g;
  step_law law;
  const node_index y = g.take(step.g, step.root), h = variable(g, y, previous_state);
  const node_index transition = derivative_of(g, y, h);
  buffer<node_index> copied;
  const auto kept = [&](node_index i) {
    copied.resize(g.size, absent);
    return copy_term(law.g, g, i, copied);
  };
  if (const node_index marker = left_over(g, transition); marker != absent) law.without_derivative = kept(g[marker].a);
  law.transition_reads_state = !independent(g, transition, h);
  law.transition_mixes_tokens = !works_within_tokens(g, transition);
  law.transition = kept(transition);
  if (!law.holds()) return law;
  memo seen;
  const node_index zero = g.put({.term = term_code<terms::nothing>, .to = g[h].to});
  law.input = kept(exhaust(g, replaced(g, y, h, zero, seen), bookkeeping));
  return law;
}

/// The states of a recurrence h_t = step(h_{t-1}), h_{-1} = 0, where `step` makes a stream of the previous state. What
/// has no scan law, such as a GRU or an LSTM, whose gates read the previous state, does not compile.
/// @throws user_error for such a step at run time
template <axes A = chan, class Step>
constexpr stream<A> recur(Step step) {
  const step_law law = law_of_step(stream<A>(step(input<"h[t-1]", A>)).e);
  if (law.without_derivative != absent)
    throw user_error("recur: the step has no derivative with respect to the previous state, so no transition");
  if (law.transition_reads_state)
    throw user_error("recur: a gate reads the previous state h[t-1], so the step is not affine and has no scan law");
  if (law.transition_mixes_tokens)
    throw user_error("recur: the step mixes tokens: a transition works within one token, on the state before it");
  expr transition, fed;
  transition.root = transition.g.take(law.g, law.transition);
  fed.root = fed.g.take(law.g, law.input);
  return {build::with<terms::applied>(build::with<terms::scan>(transition), fed)};
}

}  // namespace alphaform

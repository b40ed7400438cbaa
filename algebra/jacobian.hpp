// The true derivative of a stream expression: the implicit attention and one term for each path through what controls
// it, J = H + (terms through the controls). All by the rules, none for one architecture.
#pragma once
#include <alphaform/algebra/derive.hpp>

namespace alphaform {

/// One way on which v changes y beside the value path: v changes the stream `control`, and that changes an operator.
struct control_path final {
  node_index control = absent;    ///< the stream through which the path goes
  node_index before = absent;     ///< operator from changes of v to y, with J(control) left as it is
  node_index operation = absent;  ///< the same, all derivatives taken
};

/// Terms are indices into `g`.
struct jacobian_terms final {
  static constexpr std::size_t most_paths = 48;
  graph<960> g{};
  node_index variable = absent;  ///< v
  node_index full = absent;      ///< J, taken as a whole
  node_index implicit = absent;  ///< H, the value path; `absent` if F was refused
  node_index refused = absent;   ///< a term that has no derivative here, or `absent`
  std::array<control_path, most_paths> paths{};
  std::size_t count = 0;

  constexpr term_in<960> term(node_index i) const {
    term_in<960> e;
    e.root = e.g.take(g, i);
    return e;
  }
};

/// J(y; v), rewritten.
constexpr node_index derivative_of(workspace& g, node_index y, node_index v) {
  return exhaust(g, marked<terms::derivative>(g, y, v), differentiating);
}

/// The derivative of y with respect to the input `name`, and its split into paths.
constexpr jacobian_terms jacobian(const expr& y, std::string_view name = value_input) {
  workspace g;
  jacobian_terms j;
  buffer<node_index> copied;
  const auto kept = [&](node_index i) {
    copied.resize(g.size, absent);
    return copy_term(j.g, g, i, copied);
  };
  const node_index out = g.take(y.g, y.root), v = variable(g, out, name);
  j.variable = kept(v);
  memo seen;
  const auto differentiated = [&](node_index i) { return exhaust(g, i, differentiating, seen); };
  const node_index full = differentiated(marked<terms::derivative>(g, out, v));
  if (const node_index marker = left_over(g, full); marker != absent) j.refused = kept(g[marker].a);
  j.full = kept(full);

  const scheme along = only(rule_class::canonical, rule_class::frozen, rule_class::mathematical);
  const node_index value = exhaust(g, marked<terms::frozen>(g, out, v), along);
  if (left_over(g, value) != absent) return j;
  j.implicit = kept(value);
  const node_index controls = exhaust(g, marked<terms::controls>(g, out, v),
                                      only(rule_class::canonical, rule_class::controls, rule_class::splitting));
  if (g[controls].is<terms::zero>()) return j;
  buffer<node_index> list;
  flatten<terms::paths>(g, controls, list);
  if (list.size() > jacobian_terms::most_paths) throw user_error("this derivative has more paths than alphaform keeps");
  for (const node_index i : list) {
    control_path& p = j.paths[j.count++];
    if (const node_index marker = left_over(g, i); marker != absent) p.control = kept(g[marker].a);
    p.before = kept(i);
    p.operation = kept(differentiated(i));
  }
  return j;
}

}  // namespace alphaform

#include <algorithm>
#include <alphaform/backends/reference/witness.hpp>
#include <alphaform/explain/evidence.hpp>
#include <limits>

namespace alphaform {
namespace {

constexpr unsigned seeds[] = {1, 2};

/// The worst `miss(witness)` over the seeds.
template <class Miss>
double worst(Miss miss) {
  double most = 0;
  for (const unsigned seed : seeds) most = std::max(most, miss(witness({}, seed)));
  return most;
}

}  // namespace

derivation_evidence measure(const architecture& a, const derivation& d, const visible_derivation& steps) {
  derivation_evidence e;
  for (const visible_step& s : steps.steps) {
    const term_view before(steps.g, s.before), after(steps.g, s.after);
    const axes in = value_axes(a.attention);
    if (d.refused != absent) {  // F of what was refused is no matrix
      e.steps.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    e.steps.push_back(
        worst([&](const witness& w) { return relative_difference(w.matrix(after, in), w.matrix(before, in)); }));
  }
  const term_view y = a.attention;
  const axes in = value_axes(y), out = y.top().to;
  const expr x = build::leaf<terms::input>(value_input, in);
  if (d.refused == absent)
    e.whole = worst([&](const witness& w) {
      const Eigen::VectorXd Hx = w.matrix({d, d.formula}, in) * w.value(x);
      return relative_difference(Hx + w.value({d, d.remainder}, out), w.value(y));
    });
  if (d.refused == absent) e.scans = laws_in({d, d.formula}, witness({}, seeds[0]));
  if (a.printed.H.root != absent)
    e.printed = worst(
        [&](const witness& w) { return relative_difference(w.matrix(a.printed.H, in) * w.value(x), w.value(y)); });
  const expr stable = stabilised(a.attention);
  if (!(stable == a.attention))
    e.stabilised = worst([&](const witness& w) { return relative_difference(w.value(stable), w.value(y)); });
  return e;
}

measured_jacobian measure_jacobian(const architecture& a, std::string_view input) {
  measured_jacobian m{input, jacobian(a.attention, input), {}, {}};
  const jacobian_terms& j = m.terms;
  if (j.refused != absent) return m;
  large_expr by_definition;
  workspace& g = by_definition.g;
  const node_index y = g.take(a.attention.g, a.attention.root), v = variable(g, y, input);
  by_definition.root = marked<terms::derivative>(g, y, v);
  const axes in = g[v].to;
  m.whole = worst([&](const witness& w) {
    return relative_difference(w.matrix({j, j.full}, in), w.matrix(by_definition));
  });
  if (j.implicit != absent)
    m.split = worst([&](const witness& w) {
      Eigen::MatrixXd sum = w.matrix({j, j.implicit}, in);
      for (std::size_t k = 0; k < j.count; ++k) sum += w.matrix({j, j.paths[k].operation}, in);
      return relative_difference(sum, w.matrix(by_definition));
    });
  return m;
}

}  // namespace alphaform

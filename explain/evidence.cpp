#include <algorithm>
#include <alphaform/backends/reference/witness.hpp>
#include <alphaform/explain/evidence.hpp>

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

derivation_evidence measure(const architecture& a, const derivation& d) {
  derivation_evidence e;
  for (std::size_t k = 0; k < d.steps; ++k) {
    const term_view before(d, d.log[k].before), after(d, d.log[k].after);
    const axes in = value_axes(before);
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
  if (a.printed.H.root != absent)
    e.printed = worst(
        [&](const witness& w) { return relative_difference(w.matrix(a.printed.H, in) * w.value(x), w.value(y)); });
  const expr stable = stabilised(a.attention);
  if (!(stable == a.attention))
    e.stabilised = worst([&](const witness& w) { return relative_difference(w.value(stable), w.value(y)); });
  return e;
}

}  // namespace alphaform

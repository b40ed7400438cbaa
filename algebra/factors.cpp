#include <alphaform/algebra/factors.hpp>

namespace alphaform {
namespace {

template <class Open>
void flatten(const term_view& v, node_index i, Open is_open, std::vector<node_index>& out) {
  if (is_open(v[i]) && (i == v.root || v.labels[i].empty())) {
    flatten(v, v[i].a, is_open, out);
    flatten(v, v[i].b, is_open, out);
  } else {
    out.push_back(i);
  }
}

/// Do the five factors that start at `f` make an Unrolled?
bool starts_unrolled(const term_view& v, std::span<const node_index> f) {
  if (f.size() < 5) return false;
  const node &sum = v[f[0]], &scan = v[f[2]], &repeat = v[f[4]];
  return sum.is<terms::contract>() && v[f[1]].is<terms::diag>() && scan.is<terms::scan>() &&
         v[scan.a].is<terms::diag>() && v[f[3]].is<terms::diag>() && repeat.is<terms::expand>() &&
         sum.from == repeat.to;
}

}  // namespace

std::vector<factor> factors_of(const term_view& v) {
  std::vector<node_index> flat;
  flatten(
      v, v.root, [](const node& n) { return n.is<terms::product>(); }, flat);
  std::vector<factor> factors;
  for (std::size_t k = 0; k < flat.size(); ++k) {
    const std::span<const node_index> rest = std::span(flat).subspan(k);
    if (starts_unrolled(v, rest)) {
      factors.push_back({rest[0], v[v[rest[2]].a].a, v[rest[3]].a, v[rest[1]].a});
      k += 4;
    } else {
      factors.push_back({flat[k]});
    }
  }
  return factors;
}

std::vector<node_index> summands_of(const term_view& v) {
  std::vector<node_index> flat;
  flatten(
      v, v.root, [](const node& n) { return one_of<terms::sum, terms::paths, terms::plus>(n.term); }, flat);
  return flat;
}

}  // namespace alphaform

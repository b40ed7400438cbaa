// Forms of operators that the engine runs in one kernel.
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

namespace {
template <class Term>
void flatten(const workspace& g, node_index p, std::vector<node_index>& list) {
  if (!g[p].is<Term>()) {
    list.push_back(p);
    return;
  }
  flatten<Term>(g, g[p].a, list);
  flatten<Term>(g, g[p].b, list);
}
}  // namespace

std::vector<node_index> factors_of(const workspace& g, node_index p) {
  std::vector<node_index> list;
  flatten<terms::product>(g, p, list);
  return list;
}

std::vector<node_index> terms_of(const workspace& g, node_index p) {
  std::vector<node_index> list;
  flatten<terms::sum>(g, p, list);
  return list;
}

std::optional<unrolled_form> as_unrolled(const workspace& g, const std::vector<node_index>& factors, std::size_t at) {
  if (at + 5 > factors.size()) return std::nullopt;
  const node &contract = g[factors[at]], &read = g[factors[at + 1]], &scan = g[factors[at + 2]],
             &write = g[factors[at + 3]], &expand = g[factors[at + 4]];
  const bool matches = contract.is<terms::contract>() && contract.from == state && read.is<terms::diag>() &&
                       scan.is<terms::scan>() && g[scan.a].is<terms::diag>() && write.is<terms::diag>() &&
                       expand.is<terms::expand>() && expand.to == state;
  if (!matches) return std::nullopt;
  return unrolled_form{g[scan.a].a, write.a, read.a};
}

}  // namespace alphaform

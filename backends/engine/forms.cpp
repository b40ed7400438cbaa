#include <alphaform/algebra/order.hpp>
#include <alphaform/backends/engine/forms.hpp>

namespace alphaform {

namespace {
template <class Term>
std::vector<node_index> flat(const workspace& g, node_index p) {
  buffer<node_index> list;
  flatten<Term>(g, p, list);
  return {list.begin(), list.end()};
}
}  // namespace

std::vector<node_index> factors_of(const workspace& g, node_index p) { return flat<terms::product>(g, p); }
std::vector<node_index> terms_of(const workspace& g, node_index p) { return flat<terms::sum>(g, p); }

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

node_index as_inverse_row_sum(const workspace& g, node_index stream) {
  const node& n = g[stream];
  if (!n.is<terms::function>() || n.function != function_code<functions::reciprocal>) return absent;
  const node& sum = g[n.a];
  return sum.is<terms::applied>() && g[sum.b].is<terms::one>() ? sum.a : absent;
}

bool is_softmax(const workspace& g, const std::vector<node_index>& factors, std::size_t at) {
  if (at + 2 > factors.size() || !g[factors[at]].is<terms::diag>()) return false;
  const node_index p = factors[at + 1];
  return g[p].is<terms::attend>() && as_inverse_row_sum(g, g[factors[at]].a) == p;
}

}  // namespace alphaform

#include <alphaform/algebra/infer.hpp>
#include <alphaform/backends/diagonal.hpp>
#include <alphaform/backends/engine/forms.hpp>

namespace alphaform {

axes mixed_by(const workspace& g, node_index p) {
  const node& n = g[p];
  if (one_of<terms::product, terms::sum, terms::paths>(n.term)) return mixed_by(g, n.a) | mixed_by(g, n.b);
  if (one_of<terms::scan, terms::rownorm, terms::bounded_rownorm, terms::adjoint, terms::retimed>(n.term))
    return mixed_by(g, n.a);
  if (one_of<terms::mix, terms::expand, terms::contract, terms::turn, terms::embed, terms::real, terms::lags>(n.term))
    return n.from | n.to;
  return no_axes;
}

node_index diagonal_of(workspace& g, node_index p, axes of) {
  const auto apart = [&](node_index i) { return !mixed_by(g, i).touches(of); };
  if (apart(p)) return p;
  const node n = g[p];
  if (n.is<terms::sum>() || n.is<terms::paths>()) {
    const node_index a = diagonal_of(g, n.a, of), b = diagonal_of(g, n.b, of);
    if (a == absent || b == absent) return absent;
    return g.put(inferred(g, {.term = n.term, .a = a, .b = b}));
  }
  if (!n.is<terms::product>()) return absent;
  std::vector<node_index> factors = factors_of(g, p);
  std::size_t first = 0, last = factors.size() - 1;
  while (apart(factors[first])) ++first;
  while (apart(factors[last])) --last;
  const node &left = g[factors[first]], &right = g[factors[last]];
  if (first == last) {
    if (left.is<terms::product>() || (factors[first] = diagonal_of(g, factors[first], of)) == absent) return absent;
  } else if (last == first + 1 && left.is<terms::expand>() && right.is<terms::contract>() && left.to == right.from &&
             of.contains(left.to)) {
    factors[first] = factors[last] = g.put({.term = term_code<terms::identity>});  // 1 1' has ones on its diagonal
  } else {
    return absent;
  }
  node_index product = factors.back();
  for (std::size_t k = factors.size() - 1; k-- > 0;)
    product = g.put(inferred(g, {.term = term_code<terms::product>, .a = factors[k], .b = product}));
  return product;
}

}  // namespace alphaform

// The normal form of random products: the same operator, a fixed point, and the same from wherever one starts. Factors
// that the normal form lets change places do commute, and nothing that a rule lets change places is kept in its order.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/algebra/print.hpp>
#include <string>

#include "compared.hpp"
#include "random_terms.hpp"

namespace alphaform {
namespace {

constexpr int products = 20000, rewrites = 20;

/// A random product of 3 to 10 factors; one in four is transposed if asked for.
struct random_product final {
  large_expr e{};
  axes in{};

  explicit random_product(unsigned seed, bool transposed = false) {
    random_terms draw(e.g, seed);
    in = draw.some_axes();
    axes at = in;
    for (int k = 3 + draw.below(8); k > 0; --k) {
      const axes to = draw.chance(3) ? draw.some_axes() : at;
      const node_index factor = draw.operation(at, to, {.depth = draw.below(2)});
      e.root = e.root == absent ? factor : draw.with<terms::product>(factor, e.root);
      at = to;
    }
    if (!transposed || !draw.chance(4)) return;
    e.root = draw.with<terms::adjoint>(e.root);
    in = at;
  }
};

node_index normal(workspace& g, node_index i) { return exhaust(g, i, normalising); }
std::string text(const workspace& g, node_index i) { return print({g, i}, notation::text); }

TEST_CASE("the normal form of a random product is the same operator, and its own normal form") {
  double worst = 0;
  int compared_ones = 0, changed = 0;
  for (unsigned seed = 1; compared_ones < products; ++seed) {
    random_product p(seed, true);
    workspace& g = p.e.g;
    const node_index once = normal(g, p.e.root);
    const bool fixed = normal(g, once) == once;
    comparison c;
    try {
      c = compared_operators({g, p.e.root}, {g, once}, p.in, witness(few, seed));
    } catch (const internal_error& e) {
      CAPTURE(seed);
      CAPTURE(text(g, p.e.root));
      CAPTURE(text(g, once));
      FAIL_CHECK(std::string(e.what()));
    }
    if (!c.usable()) continue;
    ++compared_ones;
    changed += once != p.e.root ? 1 : 0;
    worst = std::max(worst, c.relative());
    if (fixed && c.relative() <= 1e-10) continue;
    CAPTURE(seed);
    CAPTURE(text(g, p.e.root));
    CAPTURE(text(g, once));
    CAPTURE(text(g, normal(g, once)));
    CHECK(fixed);
    CHECK(c.relative() <= 1e-10);
  }
  CHECK(changed > products / 2);
  MESSAGE(compared_ones << " products, " << changed << " of them changed, worst residual " << worst);
}

/// Rewrites a term at random places, by steps that keep the operator, in either direction.
class wandering final {
 public:
  wandering(workspace& g, unsigned seed) : g_(g), draw_(g, seed) {}

  node_index anywhere(node_index i) {
    const std::vector<node_index> parts = parts_of(term_view(g_, i));
    const node_index at = draw_.one_out_of(parts), to = changed(at);
    return to == at ? i : replaced(i, at, to);
  }

 private:
  workspace& g_;
  random_terms draw_;

  node_index changed(node_index i) {
    const node n = g_[i];
    switch (draw_.below(6)) {
      case 0:  // I before or after, + 0
        if (n.is_stream()) return i;
        if (draw_.chance(3))
          return draw_.with<terms::sum>(i, g_.put({.term = term_code<terms::zero>, .to = n.to, .from = n.from}));
        return draw_.chance(2) ? draw_.with<terms::product>(i, draw_.leaf<terms::identity>())
                               : draw_.with<terms::product>(draw_.leaf<terms::identity>(), i);
      case 1:
        return n.is<terms::product>() ? shuffled_factors(i) : i;
      case 2:
        if (n.is<terms::sum>()) return shuffled_terms<terms::sum>(i);
        if (n.is<terms::plus>()) return shuffled_terms<terms::plus>(i);
        if (n.is<terms::times>()) return shuffled_terms<terms::times>(i);
        return i;
      default:
        return rewritten(i);
    }
  }
  /// Some rule of the normal form, or of factors that commute.
  node_index rewritten(node_index i) {
    std::vector<const rule*> able;
    for (const rule& u : rules)
      if (u.pattern.top().term == g_[i].term && (normalising.has(u.is) || u.is == rule_class::commuting))
        able.push_back(&u);
    std::shuffle(able.begin(), able.end(), std::mt19937(static_cast<unsigned>(draw_.below(1 << 30))));
    for (const rule* u : able)
      if (const node_index made = fire(*u, g_, i); made != absent) return made;
    return i;
  }
  template <class Term>
  node_index bracketed(const std::vector<node_index>& list, std::size_t begin, std::size_t end) {
    if (end - begin == 1) return list[begin];
    const std::size_t cut = begin + 1 + static_cast<std::size_t>(draw_.below(static_cast<int>(end - begin) - 1));
    const node_index left = bracketed<Term>(list, begin, cut);
    return draw_.with<Term>(left, bracketed<Term>(list, cut, end));
  }
  template <class Term>
  std::vector<node_index> flat(node_index i) const {
    if (!g_[i].is<Term>()) return {i};
    std::vector<node_index> list = flat<Term>(g_[i].a), more = flat<Term>(g_[i].b);
    list.insert(list.end(), more.begin(), more.end());
    return list;
  }
  template <class Term>
  node_index shuffled_terms(node_index i) {
    std::vector<node_index> list = flat<Term>(i);
    std::shuffle(list.begin(), list.end(), std::mt19937(static_cast<unsigned>(draw_.below(1 << 30))));
    return bracketed<Term>(list, 0, list.size());
  }
  /// Neighbours that commute change places, and brackets move.
  node_index shuffled_factors(node_index i) {
    std::vector<node_index> list = flat<terms::product>(i);
    for (int k = 0; k < 6; ++k) {
      const auto at = static_cast<std::size_t>(draw_.below(static_cast<int>(list.size()) - 1));
      if (commute(signature_of(g_, list[at]), signature_of(g_, list[at + 1]))) std::swap(list[at], list[at + 1]);
    }
    return bracketed<terms::product>(list, 0, list.size());
  }
  node_index replaced(node_index i, node_index what, node_index by) {
    if (i == what) return by;
    if (i < what) return i;
    node n = g_[i];
    if (n.is<terms::inverse_size>()) return i;
    if (n.a != absent) n.a = replaced(n.a, what, by);
    if (n.b != absent) n.b = replaced(n.b, what, by);
    return g_.put(inferred(g_, n));
  }
};

TEST_CASE("whatever is rewritten first, the normal form is the same") {
  int different = 0;
  long steps = 0;
  for (unsigned seed = 1; seed <= products; ++seed) {
    random_product p(seed, true);
    workspace& g = p.e.g;
    const node_index expected = normal(g, p.e.root);
    wandering by(g, seed);
    node_index at = p.e.root;
    for (int k = 0; k < rewrites; ++k) {
      const node_index before = at;
      at = by.anywhere(at);
      steps += at != before ? 1 : 0;
      const node_index found = normal(g, at);
      if (found == expected) continue;
      ++different;
      if (different > 12) break;
      CAPTURE(seed);
      CAPTURE(text(g, before));
      CAPTURE(text(g, at));
      CAPTURE(text(g, expected));
      CAPTURE(text(g, found));
      CHECK(found == expected);
      break;
    }
  }
  CHECK(different == 0);
  MESSAGE(products << " products, " << steps << " rewrites, " << different << " other normal forms");
}

TEST_CASE("factors commute exactly if a row says so, and then their matrices do") {
  int pairs = 0, commuting = 0, compared_ones = 0;
  double worst = 0;
  for (unsigned seed = 1; commuting < 10000; ++seed) {
    workspace g;
    random_terms draw(g, seed);
    const axes in = draw.some_axes();
    const taste simple{.depth = draw.below(2), .constant = draw.chance(2)};
    const auto leaf = [&](axes at) { return draw.operation(at, draw.chance(3) ? draw.some_axes() : at, simple); };
    const node_index q = leaf(in), p = leaf(after(effect_of(g, q), in));
    if (g[p].is<terms::product>() || g[q].is<terms::product>()) continue;
    ++pairs;
    const bool says = commute(signature_of(g, p), signature_of(g, q));
    const node_index pq = draw.with<terms::product>(p, q), qp = draw.with<terms::product>(q, p);
    bool row = false;
    for (const rule& u : rules)
      if (u.is == rule_class::commuting) row = row || fire(u, g, pq) != absent || fire(u, g, qp) != absent;
    const bool trivial = [&] {  // I and 0 need no row
      for (const node_index i : {p, q})
        if (one_of<terms::identity, terms::zero>(g[i].term)) return true;
      return p == q;
    }();
    if (row != says && !trivial) {
      CAPTURE(seed);
      CAPTURE(text(g, pq));
      CHECK(row == says);
    }
    if (!says) continue;
    ++commuting;
    if (!in.contains(g[p].from) || (g[p].to - g[p].from).touches(in)) continue;  // P made what Q works on
    const comparison c = compared_operators({g, pq}, {g, qp}, in, witness(few, seed));
    if (!c.usable()) continue;
    ++compared_ones;
    worst = std::max(worst, c.relative());
    if (c.relative() <= 1e-12) continue;
    CAPTURE(seed);
    CAPTURE(text(g, pq));
    CHECK(c.relative() <= 1e-12);
  }
  CHECK(compared_ones > 5000);
  MESSAGE(pairs << " pairs, " << commuting << " commute, " << compared_ones << " compared, worst residual " << worst);
}

}  // namespace
}  // namespace alphaform

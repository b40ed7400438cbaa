// The planner: what it takes is the same operator, costs no more by its own model, and where sharing pays it is found.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/algebra/layers.hpp>
#include <alphaform/algebra/planning.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/reference/witness.hpp>

#include "random_terms.hpp"

namespace alphaform {
namespace {

large_expr large(const expr& e) {
  large_expr l;
  l.root = l.g.take(e.g, e.root);
  return l;
}
bool no_dearer(const operator_cost& a, const operator_cost& b) {
  return a.operations <= b.operations && a.numbers <= b.numbers;
}
bool took(const planned_operator& p, std::string_view rule) {
  return std::find(p.rules.begin(), p.rules.end(), rule) != p.rules.end();
}

constexpr auto a = exp(param<"A", chan | state>);
constexpr auto b1 = input<"b", state>, b2 = input<"c", state>, read_gate = input<"r", state>;

TEST_CASE("two recurrences with one decay and one read share their state") {
  const auto first = unrolled(decay(a), write(b1), read(read_gate)),
             second = unrolled(decay(a), write(b2), read(read_gate));
  const expr both = (first + second).e;
  const planned_operator p = planned(large(both), chan);
  CHECK(took(p, "common left factor"));
  CHECK(p.after.operations < 0.7 * p.before.operations);
  CHECK(relative_difference(witness({}, 1).matrix(p.P, chan), witness({}, 1).matrix(both, chan)) <= 1e-14);
}

TEST_CASE("constant Diags are fused, a gate is not folded into a state that is larger than it") {
  const planned_operator fused = planned(large((diag(param<"w">) * diag(param<"v">)).e), chan);
  CHECK(took(fused, "fuse Diags"));
  const auto s6 = unrolled(decay(a), write(b1), read(read_gate));
  const planned_operator gated = planned(large((gate(silu(input<"z">)) * s6).e), chan);
  CHECK_FALSE(took(gated, "fold into the read"));
  CHECK(gated.before == gated.after);
}

TEST_CASE("the plan of every registered architecture is the same operator and costs no more") {
  for (const architecture& declared : registry) {
    CAPTURE(declared.name);
    const derivation d = derive(declared.attention);
    large_expr H;
    H.root = H.g.take(d.g, d.formula);
    const axes in = value_axes(declared.attention);
    const planned_operator p = planned(H, in);
    CHECK(no_dearer(p.after, p.before));
    const witness w({}, 3);
    CHECK(relative_difference(w.matrix(p.P, in), w.matrix(H, in)) <= 1e-13);
  }
}

TEST_CASE("no plan of a random product costs more than the product") {
  int changed = 0;
  for (unsigned seed = 1; seed <= 2000; ++seed) {
    large_expr P;
    random_terms draw(P.g, seed);
    P.root = draw.operation(chan, chan, {});
    for (int k = draw.below(4); k >= 0; --k) P.root = draw.with<terms::product>(draw.operation(chan, chan, {}), P.root);
    const planned_operator p = planned(P, chan);
    CHECK(no_dearer(p.after, p.before));
    if (p.rules.empty()) continue;
    ++changed;
    const witness w({.tokens = 4}, seed);
    CHECK(relative_difference(w.matrix(p.P, chan), w.matrix(P, chan)) <= 1e-11);
  }
  CHECK(changed > 20);
}

}  // namespace
}  // namespace alphaform

// Every rule against what its two sides mean: the pattern with random operands for its symbols, rewritten by the
// engine, and both compared as dense matrices in double.
#include <doctest/doctest.h>

#include <alphaform/algebra/normal.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <string>

#include "random_terms.hpp"

namespace alphaform {
namespace {

constexpr int instances = 40;
// Both sides are the same products of small matrices in another order; row sums of random signs cancel a few digits.
constexpr double tolerance = 1e-12;

bool mentions(const expr& e, code term) {
  return occurs(e, [term](const node& n) { return n.term == term; });
}

/// A rule's pattern with operands in place of its symbols.
struct instance final {
  workspace g{};
  node_index root = absent;

  node_index put(const graph<160>& pattern, node_index i, const binding& bound) {
    node n = pattern[i];
    if (is_wildcard(n)) return bound[n.id];
    if (n.a != absent) n.a = put(pattern, n.a, bound);
    if (n.b != absent) n.b = put(pattern, n.b, bound);
    if (n.is<terms::input>()) n.to = chan;
    return g.put(inferred(g, n));
  }
  term_view view(node_index i) const { return {{g.nodes, g.size}, {g.labels, g.size}, i}; }
};

enum class operands { as_the_rule_wants, against_its_condition };

/// What the symbols stand for: the one that the condition names does or does not depend on the value input, the streams
/// under a marker lie on the value path, all others are free.
instance instantiate(const rule& u, axes a, operands choice, random_terms& draw, bool only_square = false) {
  instance made;
  binding bound;
  const bool normalised = mentions(u.pattern, term_code<terms::rownorm>);
  const bool marked = mentions(u.pattern, term_code<terms::frozen>) || mentions(u.pattern, term_code<terms::remainder>);
  std::string operators;
  for (const node_index i : parts_of(u.pattern))
    if (u.pattern.g[i].is<terms::any_operator>()) operators += u.pattern.g[i].id;
  for (const node_index i : parts_of(u.pattern)) {
    const node& n = u.pattern.g[i];
    if (!is_wildcard(n)) continue;
    const bool conditional = n.id == u.when.symbol;
    expr e;
    if (n.is<terms::any_operator>() && normalised)  // a row that sums to 0 cannot be normalised
      e = build::with<terms::sum>(draw.operation(a, true),
                                  build::with<terms::diag>(build::call<functions::exp>(draw.control(a, true))));
    else if (n.is<terms::any_operator>())
      e = operators.size() == 1 && !only_square && draw.below(3) == 0 ? draw.rectangular(a, true)
                                                                      : draw.operation(a, true);
    else if (conditional && choice == operands::as_the_rule_wants)
      e = draw.control(a, false);
    else if (conditional)
      e = draw.with_value(a);
    else
      e = marked ? draw.on_value_path(a) : draw.control(a, true);
    bound[n.id] = made.g.take(e.g, e.root);
  }
  made.root = made.put(u.pattern.g, u.pattern.root, bound);
  return made;
}

/// max |before - after| over max |before|, or over max |s| for R(s), which may be 0.
double difference(const instance& i, node_index result, axes in, const witness& w) {
  const term_view before = i.view(i.root), after = i.view(result);
  if (before.top().is<terms::remainder>()) {
    const axes has = before.top().to | after.top().to;
    return (w.value(after, has) - w.value(before, has)).cwiseAbs().maxCoeff() /
           w.value(before.at(before.top().a)).cwiseAbs().maxCoeff();
  }
  if (before.top().is_stream()) {
    const axes has = before.top().to | after.top().to;
    return relative_difference(w.value(after, has), w.value(before, has));
  }
  const Eigen::MatrixXd m = w.matrix(before, in);
  if (after.top().is<terms::zero>()) return relative_difference(Eigen::MatrixXd::Zero(m.rows(), m.cols()), m);
  return relative_difference(w.matrix(after, in), m);
}

TEST_CASE("every rule means the same on both sides") {
  std::string report;
  for (const rule& u : rules) {
    CAPTURE(u.name);
    const bool frozen = mentions(u.pattern, term_code<terms::frozen>);
    const bool marked = frozen || mentions(u.pattern, term_code<terms::remainder>);
    double worst = 0;
    int compared = 0;
    for (int k = 0; k < instances; ++k) {
      random_terms draw(static_cast<unsigned>(k) + 1);
      const axes a = draw.some_axes(marked);
      instance i = instantiate(u, a, operands::as_the_rule_wants, draw);
      CAPTURE(print(i.view(i.root), notation::text));
      const node_index result = fire(u, i.g, i.root);
      REQUIRE(result != absent);
      const double miss = difference(i, result, frozen ? chan : a, witness({.tokens = 5}, static_cast<unsigned>(k)));
      CHECK(miss <= tolerance);
      worst = std::max(worst, miss);
      ++compared;
    }
    CHECK(compared >= 20);
    report += "\n  " + std::string(u.name) + ": " + std::to_string(compared) + " instances, worst residual " +
              doctest::toString(worst).c_str();
  }
  MESSAGE(report);
}

TEST_CASE("a rule does not fire against its condition") {
  int conditional = 0;
  for (const rule& u : rules) {
    if (u.when.symbol.empty()) continue;
    CAPTURE(u.name);
    ++conditional;
    for (int k = 0; k < instances; ++k) {
      random_terms draw(static_cast<unsigned>(k) + 1);
      instance i = instantiate(u, draw.some_axes(true), operands::against_its_condition, draw);
      CHECK(fire(u, i.g, i.root) == absent);
    }
  }
  CHECK(conditional == 2);
}

TEST_CASE("the comparison sees a rule that is wrong") {
  using namespace rows;
  const expr filter = build::with<terms::conv>(build::leaf<terms::parameter>("taps", chan));
  const rule wrong[] = {
      row("Diag and Conv commute", then(D(x), filter), then(filter, D(x)), rule_class::mathematical, "", ""),
      row("Scan and Diag commute", then(S(D(x)), D(y)), then(D(y), S(D(x))), rule_class::mathematical, "", ""),
      row("F of a product", F(at(p, x)), F(x), rule_class::frozen, "", ""),
      row("R drops the operator", R(at(p, x)), R(x), rule_class::remainder, "", ""),
      row("rows of P", N(p), p, rule_class::mathematical, "", "")};
  for (const rule& u : wrong) {
    CAPTURE(u.name);
    double worst = 0;
    for (int k = 0; k < instances; ++k) {
      random_terms draw(static_cast<unsigned>(k) + 1);
      instance i = instantiate(u, chan, operands::as_the_rule_wants, draw, true);
      const node_index result = fire(u, i.g, i.root);
      REQUIRE(result != absent);
      worst = std::max(worst, difference(i, result, chan, witness({.tokens = 5}, 1)));
    }
    CHECK(worst > 1e-3);
  }
}

}  // namespace
}  // namespace alphaform

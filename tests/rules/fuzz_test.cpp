// Every rule against what its two sides mean: the pattern with random operands for its symbols, rewritten by the
// engine, and both compared as dense matrices in double, derivatives by dual numbers.
#include <doctest/doctest.h>

#include <alphaform/algebra/print.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "compared.hpp"
#include "instance.hpp"

namespace alphaform {
namespace {

constexpr int instances = 1000;
constexpr int most_tries = 4000;  // for one instance that fits and meets the condition
// Both sides are the same products of small matrices in another order; row sums of random signs cancel a few digits.
constexpr double tolerance = 1e-11;
// Dual numbers through quotients and roots lose two digits more.
constexpr double derivative_tolerance = 1e-9;

bool takes_derivatives(const rule& u) { return mentions(u.pattern, terms::derivative{}, terms::controls{}); }

/// Random instances of one rule whose condition holds, or does not hold.
struct drawing final {
  const rule& u;
  bool condition_holds = true;
  instance i{};
  unsigned seed = 0;
  bool typed = true;

  /// The next instance. A few conditions hold in every declaration: against them there is only what none can say.
  bool next() {
    for (int k = 0; k < most_tries; ++k)
      if (drawn()) return true;
    if (condition_holds || !typed) return false;
    typed = false;
    return next();
  }

 private:
  bool drawn() {
    try {
      instantiation(u, i, ++seed, typed);
    } catch (const instantiation::misfit&) {
      return false;
    }
    if (u.when.holds == nullptr) return true;
    binding bound;
    return match(u.pattern.g, u.pattern.root, i.g, i.root, bound) && u.when.holds(i.g, bound) == condition_holds;
  }
};

comparison sides(const rule& u, instance& i, node_index result, const witness& w) {
  const term_view before(i.g, i.root), after(i.g, result);
  if (before.top().is<terms::remainder>()) {  // may be 0: compared with s
    comparison c = compared_streams(before, after, w);
    c.scale = std::max(c.scale, w.value(before.at(before.top().a)).cwiseAbs().maxCoeff());
    return c;
  }
  if (before.top().is_stream()) return compared_streams(before, after, w);
  const bool derivatives = takes_derivatives(u);
  comparison c = compared_operators(before, after, i.in, w, derivatives ? 2 : 0);
  if (before.top().is<terms::controls>()) {  // a difference J - F: compared with J
    const node_index whole = marked<terms::derivative>(i.g, i.g[i.root].a, i.g[i.root].b);
    c.scale = std::max(c.scale, compared_operators({i.g, whole}, {i.g, whole}, i.in, w, 2).scale);
  }
  return c;
}

struct record final {
  int compared = 0;
  double worst = 0;
};
record fuzz(const rule& u, int count) {
  record r;
  int zeros = 0;
  drawing d{u};
  instance& i = d.i;
  while (r.compared < count) {
    if (!d.next()) throw internal_error("no instance meets the condition of this rule");
    const witness w(few, d.seed);
    const std::string text = print({i.g, i.root}, notation::text);
    CAPTURE(text);
    const node_index result = fire(u, i.g, i.root);
    if (result == absent) throw internal_error("the rule does not fire on " + text);
    if (takes_derivatives(u) && !smooth({i.g, i.root}, w)) continue;
    CAPTURE(print({i.g, result}, notation::text));
    comparison c;
    try {
      c = sides(u, i, result, w);
    } catch (const std::exception& e) {
      FAIL_CHECK(std::string(e.what()));
      return r;
    }
    if (!c.usable()) continue;
    const bool says_nothing = c.scale == 0 && !one_of<terms::zero, terms::nothing>(i.g[result].term);
    if (says_nothing && ++zeros < 20) continue;  // some derivatives are always 0
    zeros = 0;
    if (c.relative() > (takes_derivatives(u) ? derivative_tolerance : tolerance)) {
      CHECK(c.relative() <= tolerance);
      return r;
    }
    r.worst = std::max(r.worst, c.relative());
    ++r.compared;
  }
  return r;
}

std::string line(const rule& u, const record& r) {
  char text[160];
  std::snprintf(text, sizeof text, "\n  %-12s %-42s %5d instances, worst residual %.1e", text_of(u.is).data(),
                std::string(u.name).c_str(), r.compared, r.worst);
  return text;
}

TEST_CASE("every rule means the same on both sides") {
  std::string report;
  for (const rule& u : rules) {
    if (u.is == rule_class::unsound) continue;
    CAPTURE(u.name);
    try {
      report += line(u, fuzz(u, instances));
    } catch (const std::exception& e) {
      FAIL_CHECK(std::string(e.what()));
    }
  }
  MESSAGE(report);
}

TEST_CASE("a rule does not fire against its condition") {
  std::string report;
  for (const rule& u : rules) {
    if (u.when.holds == nullptr) continue;
    CAPTURE(u.name);
    record r;
    drawing d{u, false};
    instance& i = d.i;
    while (r.compared < instances) {
      REQUIRE(d.next());
      // of A (B C) the pair A B may meet the condition of a rule for two factors
      const node &n = i.g[i.root], &p = u.pattern.top();
      const auto long_product = [](const node& top, const auto& g) {
        return top.is<terms::product>() && g[top.b].template is<terms::product>();
      };
      if (long_product(n, i.g) && !long_product(p, u.pattern.g)) continue;
      ++r.compared;
      CAPTURE(print({i.g, i.root}, notation::text));
      REQUIRE(fire(u, i.g, i.root) == absent);
    }
    report += line(u, r);
  }
  MESSAGE(report);
}

TEST_CASE("the two sides of an unsound row differ, and normalising never takes one for the other") {
  std::string report;
  for (const rule& u : rules) {
    if (u.is != rule_class::unsound) continue;
    CAPTURE(u.name);
    CHECK_FALSE(normalising.has(u.is));
    record r;
    drawing d{u};
    instance& i = d.i;
    while (r.compared < instances) {
      REQUIRE(d.next());
      const witness w(few, d.seed);
      node_index before = i.root;
      // F has no meaning here: what would be taken for it is compared with the derivative
      if (i.g[before].is<terms::frozen>()) before = marked<terms::derivative>(i.g, i.g[before].a, i.g[before].b);
      const node_index result = fire(u, i.g, i.root);
      REQUIRE(result != absent);
      comparison c;
      try {
        c = i.g[before].is_stream() ? compared_streams({i.g, before}, {i.g, result}, w)
                                    : compared_operators({i.g, before}, {i.g, result}, i.in, w);
      } catch (const internal_error&) {
        continue;  // one that the result's axes do not fit
      }
      if (!c.usable()) continue;
      r.worst = std::max(r.worst, c.relative());
      ++r.compared;
    }
    CHECK(r.worst > 1e-3);
    report += line(u, r);
  }
  MESSAGE(report);
}

TEST_CASE("the comparison sees a rule that is wrong") {
  using namespace rows;
  constexpr auto k = rule_class::mathematical;
  const rule wrong[] = {row("Diag and Conv commute", then(D(x), C(w)), then(C(w), D(x)), k, "", ""),
                        row("Scan and Diag commute", then(S(D(x)), D(y)), then(D(y), S(D(x))), k, "", ""),
                        row("F of an operator", F(at(p, x)), F(x), k, "", ""),
                        row("R drops the operator", R(at(p, x)), R(x), k, "", ""),
                        row("rows of P", N(p), p, k, "", ""),
                        row("J is F", J(at(p, x)), then(p, J(x)), k, "", ""),
                        row("transpose of a product in order", adj(then(D(x), C(w))), then(D(x), adj(C(w))), k, "", ""),
                        row("i twice is 1", then(quarter("q"), quarter("q")), I, k, "", "")};
  for (const rule& u : wrong) {
    CAPTURE(u.name);
    double worst = 0;
    drawing d{u};
    instance& i = d.i;
    for (int m = 0; m < 500; ++m) {
      REQUIRE(d.next());
      const node_index result = fire(u, i.g, i.root);
      const axes same = i.g[i.root].to;
      if (i.g[i.root].is_stream() ? i.g[result].to != same
                                  : after(effect_of(i.g, result), i.in) != after(effect_of(i.g, i.root), i.in))
        continue;
      const comparison c = sides(u, i, result, witness(few, d.seed));
      if (c.usable()) worst = std::max(worst, c.relative());
    }
    CHECK(worst > 1e-3);
  }
}

}  // namespace
}  // namespace alphaform

// Roles of factors and what is left without them: the rows of the paper's Table 4, written by hand.
#include <doctest/doctest.h>

#include <alphaform/algebra/ablation.hpp>
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/comparison.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/architectures/mamba.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/architectures/rwkv4.hpp>

namespace alphaform {
namespace {

using architectures::mamba;

expr formula(std::string_view name) {
  const derivation d = derive(find_architecture(name).attention);
  return d.term(d.formula);
}
template <class Op>
bool same(const expr& H, const Op& by_hand) {
  return normal(H) == normal(by_hand.e);
}

TEST_CASE("ablations of Mamba are the rows of Table 4") {
  const expr H = formula("mamba");
  const auto W = gate(silu(mamba::z)), Z = diag(sigmoid(mamba::c));
  const auto M = fir<"conv1d.weight">;
  const auto inner = mamba::s6 + mamba::skip;
  CHECK(same(without(H, role::filter), W * inner * Z));
  CHECK(same(without(H, role::activation), W * inner * M));
  CHECK(same(without(H, role::gate), inner * Z * M));
  CHECK(same(without(H, role::skip), W * mamba::s6 * Z * M));
  CHECK(same(without(H, role::core), W * (id + mamba::skip) * Z * M));
  CHECK(same(only(H, role::core), mamba::s6));
  CHECK(same(only(H, role::filter), M));
  CHECK(text_of(roles_in(H)) == "filter, activation, gate, core, skip");
  CHECK(same(without(normal(H), role::filter), W * inner * Z));
}

TEST_CASE("ablation in a constant expression") {
  static constexpr expr H = [] {
    const derivation d = derive(architectures::rwkv4::attention.e);
    return d.term(d.formula);
  }();
  static constexpr bool exact = normal(without(H, role::gate)) == normal(rownorm(architectures::rwkv4::wkv).e);
  static_assert(exact);
  CHECK(same(only(H, role::core), architectures::rwkv4::wkv));
  CHECK(same(without(H, role::normaliser), gate(sigmoid(architectures::rwkv4::r)) * architectures::rwkv4::wkv));
}

TEST_CASE("a role that does not occur is refused with those that do") {
  CHECK_THROWS_WITH_AS(without(formula("rwkv4"), role::filter, "rwkv4"),
                       "H of rwkv4 has no filter; it has gate, core, normaliser", user_error);
  CHECK_THROWS_WITH_AS(only(formula("mamba"), role::norm), "H has no norm; it has filter, activation, gate, core, skip",
                       user_error);
}

TEST_CASE("norms, shifts, projections and attention have roles") {
  const auto x = input<"x">;
  const auto q = input<"q", state>, k = input<"k", state>;
  const auto roles_of = [](const auto& y) {
    const derivation d = derive(y.e);
    REQUIRE(d.refused == absent);
    return text_of(roles_in(d.term(d.formula)));
  };
  const auto recurrence = scan(exp(-exp(param<"A">)));
  CHECK(roles_of(norm<"w", "eps">(recurrence * x)) == "core, norm");
  CHECK(roles_of(norm<"w", "bias", "eps">(recurrence * x)) == "core, norm");
  CHECK(roles_of(recurrence * shift<"mu">(x)) == "filter, core");
  CHECK(roles_of(recurrence * (diag(input<"i">) * x)) == "core");
  CHECK(roles_of(linear<"W">(recurrence * x)) == "core, projection");
  CHECK(roles_of(gate(sigmoid(input<"z">)) * (rownorm(attend(q, k)) * x)) == "gate, core, normaliser");
  CHECK(roles_of((recurrence + reverse * recurrence * reverse + diag(param<"D">)) * relu(x)) ==
        "activation, core, skip");
}

TEST_CASE("heads: a matrix for each head if the channels of a head share it") {
  constexpr axes keys = head | state, all = head | chan | state;
  const auto a = input<"a", keys>, k = input<"k", keys>, q = input<"q", keys>;
  const op<head | chan, head | chan> H{
      (contract<state> * (diag(widen<all>(q)) * (scan(widen<all>(a)) * (diag(widen<all>(k)) * expand<state>)))).e};
  const attention_properties p = classify(H.e, head | chan);
  CHECK(p.is == attention_class::implicit);
  CHECK(p.matrices == "H (one for each head)");
  CHECK(p.operations == "T·H·C·(5·N - 1)");
  CHECK(p.costs[2].operations == "O(T²·N)");
  REQUIRE(p.factors.size() == 1);
  CHECK(p.factors[0].is == role::core);
  CHECK(p.factors[0].bandwidth == "T - 1");
  const auto softmax = attend(input<"q", head | state>, input<"k", head | state>);
  const attention_properties s = classify(rownorm(softmax).e, head | chan);
  CHECK(s.is == attention_class::explicit_);
  CHECK(s.matrices == "H (one for each head)");
}

TEST_CASE("directions") {
  const auto recurrence = scan(exp(-exp(param<"A">)));
  CHECK(classify(recurrence.e, chan).direction == "causal");
  CHECK(classify((reverse * recurrence * reverse).e, chan).direction == "anti-causal");
  CHECK(classify(adjoint(recurrence).e, chan).direction == "anti-causal");
  CHECK(classify((recurrence + reverse * recurrence * reverse).e, chan).direction == "two-sided");
  CHECK(classify((permute<"order"> * recurrence).e, chan).direction == "two-sided");
}

TEST_CASE("a factor reads the tokens on its own side, as far as its filters and delays reach") {
  const auto recurrence = scan(exp(-exp(param<"A">)));
  const auto only_factor = [](const auto& H) {
    const attention_properties p = classify(H.e, chan);
    REQUIRE(p.factors.size() == 1);
    return p.factors[0];
  };
  CHECK(only_factor(recurrence).reads == "all earlier tokens, fading");
  CHECK(only_factor(adjoint(recurrence)).reads == "all later tokens, fading");
  CHECK(only_factor(adjoint(recurrence)).does.text ==
        "Decaying memory: all tokens from this one on, faded by @ at every step.");
  CHECK(only_factor(fir<"f">).reads == "K - 1 tokens back");
  CHECK(only_factor(adjoint(fir<"f">)).reads == "K - 1 tokens ahead");
  CHECK(only_factor(adjoint(fir<"f">)).bandwidth == "K - 1");
  CHECK(only_factor(adjoint(delay)).reads == "exactly one token ahead");
  CHECK(only_factor(adjoint(attend(input<"q", state>, input<"k", state>))).reads == "all later tokens, by content");

  const auto keep = diag(param<"a">), mix = diag(param<"b">);
  CHECK(only_factor(keep + mix * delay).does.text == "Token shift: mixes each token with the one before it.");
  CHECK(only_factor(keep + mix * delay).bandwidth == "1");
  const factor_properties two = only_factor(keep + mix * delay * delay);
  CHECK(two.reads == "up to 2 tokens back");
  CHECK(two.bandwidth == "2");
  CHECK(two.does.text == "Local filter: mixes each token with its neighbours, up to 2 tokens back.");
  CHECK(only_factor(keep + mix * delay * fir<"f">).bandwidth == "K");
}

TEST_CASE("comparisons align factors by likeness and say why an order is fixed") {
  const auto x = input<"x">;
  const expr left = (scan(param<"a">) * fir<"f"> * diag(sigmoid(x))).e;
  const comparison same_kind = compare(left, chan, (scan(param<"b">) * fir<"f"> * diag(sigmoid(x))).e, chan);
  REQUIRE(same_kind.factors.size() == 3);
  std::size_t same_ones = 0, of_one_kind = 0;
  for (const aligned_factors& f : same_kind.factors) {
    same_ones += f.is == likeness::same ? 1 : 0;
    of_one_kind += f.is == likeness::same_kind ? 1 : 0;
  }
  CHECK(same_ones == 2);
  CHECK(of_one_kind == 1);
  const expr gate_first = (diag(input<"z">) * fir<"f">).e, filter_first = (fir<"f"> * diag(input<"z">)).e;
  const comparison exchanged = compare(gate_first, chan, filter_first, chan);
  REQUIRE(exchanged.exchanged.size() == 1);
  REQUIRE(exchanged.exchanged[0].forbidding != absent);
  CHECK(rules[exchanged.exchanged[0].forbidding].name == "Diag and Conv");
}

}  // namespace
}  // namespace alphaform

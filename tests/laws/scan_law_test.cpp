// Scan laws, computed on samples: which recurrences are pairs (P, u), which of them may be composed in parallel, and
// why the others may not.
#include <doctest/doctest.h>

#include <alphaform/algebra/layers.hpp>
#include <alphaform/backends/reference/scan_law.hpp>

namespace alphaform {
namespace {

constexpr witness_sizes sizes{.tokens = 5, .heads = 1, .channels = 3, .states = 3};
constexpr double rounding = 1e-12;

constexpr auto h = input<"h[t-1]">;
constexpr auto H = input<"h[t-1]", chan | state>;
constexpr auto z = sigmoid(input<"z">);
constexpr auto k = input<"k", state>;

TEST_CASE("gated recurrences compose in parallel, and the order of their steps matters") {
  const expr cells[] = {(gate(complement(z)) * h + gate(z) * input<"x">).e, (gate(exp(param<"w">)) * h + input<"x">).e,
                        (gate(exp((expand<state> * input<"dt">)*param<"A", chan | state>)) * H +
                         gate(expand<chan> * k) * (expand<state> * input<"x">))
                            .e};
  for (const expr& step : cells)
    for (const unsigned seed : {1u, 2u, 3u}) {
      const scan_law law = law_of(step, witness(sizes, seed));
      CHECK(law.affine <= rounding);
      CHECK(law.associative <= rounding);
      CHECK(law.neutral == 0);
      CHECK(law.sequential <= rounding);
      CHECK(law.commutator > 1e-3);
      CHECK(law.numbers == 1);
      CHECK(law.composed == 1);
      CHECK(law.refusal() == "");
    }
}

TEST_CASE("a complex decay is a rotation of two numbers, and composes") {
  const auto P = rotate(exp(param<"nu">), input<"theta">);
  const scan_law law = law_of_transition(P.e, witness(sizes, 4));
  CHECK(law.affine <= rounding);
  CHECK(law.associative <= rounding);
  CHECK(law.sequential <= rounding);
  CHECK(law.numbers == 2);
  CHECK(law.composed == 2);
  CHECK(law.parallel());
}

TEST_CASE("a delta rule is affine and associative, but composing costs more than stepping") {
  const auto erase = diag(-k) * (expand<state> * (contract<state> * (diag(sigmoid(input<"b", no_axes>)) * diag(k))));
  const scan_law law = law_of_transition((id + erase).e, witness(sizes, 5));
  CHECK(law.affine <= rounding);
  CHECK(law.associative <= rounding);
  CHECK(law.sequential <= rounding);
  CHECK(law.commutator > 1e-3);
  CHECK(law.numbers == 3);
  CHECK_FALSE(law.parallel());
  CHECK(law.refusal().find("cube") != std::string::npos);
}

TEST_CASE("GRU and LSTM are refused: their gates read the state") {
  const auto update = sigmoid(input<"z"> + linear<"U_z">(h));
  const auto gru = complement(update) * h + update * tanh(input<"x"> + linear<"U">(h));
  const auto lstm_cell = sigmoid(input<"f"> + linear<"U_f">(h)) * h + input<"x">;
  for (const expr& step : {gru.e, lstm_cell.e}) {
    CHECK_FALSE(law_of_step(step).holds());
    const scan_law law = law_of(step, witness(sizes, 6));
    CHECK(law.affine > 1e-3);
    CHECK_FALSE(law.parallel());
    CHECK(law.refusal().find("not affine") != std::string::npos);
  }
}

TEST_CASE("recur refuses such a step at run time with the same sentence") {
  const auto plain = [] {
    return recur([](auto s) { return sigmoid(input<"z"> + linear<"U_z">(s)) * s + input<"x">; });
  };
  CHECK_THROWS_WITH_AS(plain(),
                       "recur: a gate reads the previous state h[t-1], so the step is not affine and has no scan law",
                       user_error);
}

}  // namespace
}  // namespace alphaform

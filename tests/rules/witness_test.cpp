// The dense witness against the papers' formulas, entry by entry, written as plain loops.
#include <doctest/doctest.h>

#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <cmath>

namespace alphaform {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr witness_sizes sizes{.tokens = 7, .channels = 3, .states = 2};
constexpr Index T = sizes.tokens, C = sizes.channels, N = sizes.states;

TEST_CASE("RWKV-4: H[t,s] is e^{(t-1-s) w + k_s} over the row's sum, e^{u + k_t} on the diagonal, times sigma(r_t)") {
  const derivation d = derive(find_architecture("rwkv4").attention);
  const witness w(sizes, 3);
  const auto k = w.value(input<"k">.e), r = w.value(input<"r">.e);
  const auto decay = w.value((-exp(param<"time_decay">)).e), bonus = w.value(param<"time_first">.e);
  const MatrixXd H = w.matrix({d, d.formula});
  for (Index c = 0; c < C; ++c)
    for (Index t = 0; t < T; ++t) {
      const auto weight = [&](Index s) {
        if (s == t) return std::exp(bonus[c] + k[t * C + c]);
        return std::exp(static_cast<double>(t - 1 - s) * decay[c] + k[s * C + c]);
      };
      double sum = 0;
      for (Index s = 0; s <= t; ++s) sum += weight(s);
      for (Index s = 0; s < T; ++s) {
        const double expected = s > t ? 0 : weight(s) / sum / (1 + std::exp(-r[t * C + c]));
        CHECK(H(t * C + c, s * C + c) == doctest::Approx(expected).epsilon(1e-13));
        CHECK(H(t * C + c, s * C + (c + 1) % C) == 0);
      }
    }
}

TEST_CASE("Mamba: alpha[t,s] is sum_n C_t exp(A sum of Delta over s+1..t) Delta_s B_s") {
  const expr& y = find_architecture("mamba").attention;
  const witness w(sizes, 4);
  const auto of = [&](std::string_view label) {
    for (const node_index i : parts_of(y))
      if (y.g.labels[i] == label) return w.value(term_view(y).at(i));
    throw internal_error("no such label");
  };
  node_index unrolled = absent;
  for (const node_index i : parts_of(y))
    if (y.g[i].is<terms::product>() && y.g[y.g[i].a].is<terms::contract>()) unrolled = i;
  const auto Delta = of("Delta"), A = of("A"), B = of("B"), Read = of("C");
  const MatrixXd alpha = w.matrix(term_view(y).at(unrolled));
  for (Index c = 0; c < C; ++c)
    for (Index t = 0; t < T; ++t)
      for (Index s = 0; s <= t; ++s) {
        double steps = 0, expected = 0;
        for (Index m = s + 1; m <= t; ++m) steps += Delta[m * C + c];
        for (Index n = 0; n < N; ++n)
          expected += Read[t * N + n] * std::exp(A[c * N + n] * steps) * Delta[s * C + c] * B[s * N + n];
        CHECK(alpha(t * C + c, s * C + c) == doctest::Approx(expected).epsilon(1e-12));
      }
}

TEST_CASE(
    "Conv reads w[K-1] for the current token and Delay reads the one before and Contract and Expand count entries") {
  const witness w(sizes, 5);
  const MatrixXd f = w.matrix(fir<"f">.e), z = w.matrix(delay.e, chan);
  CHECK(f(3 * C, 0) == f(4 * C, C));
  CHECK(f(4 * C, 0) == 0);  // four taps
  CHECK(f(0, C) == 0);
  CHECK(z(C, 0) == 1);
  CHECK(z.sum() == static_cast<double>((T - 1) * C));
  const MatrixXd repeated = w.matrix((contract<state> * expand<state>).e, chan);
  CHECK(repeated == static_cast<double>(N) * MatrixXd::Identity(T * C, T * C));
}

}  // namespace
}  // namespace alphaform

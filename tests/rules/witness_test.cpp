// The dense witness against the papers' formulas, entry by entry, written as plain loops.
#include <doctest/doctest.h>

#include <Eigen/LU>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/reference/dense_space.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <cmath>
#include <complex>

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

TEST_CASE("Lags, Reverse and Permute move tokens, and Conv is a sum over lags") {
  const witness w(sizes, 6);
  constexpr Index K = sizes.taps;
  const auto x = input<"x">;
  const auto taps = param<"f", chan | tap>;
  const auto values = w.value(x.e), f = w.value(taps.e), y = w.value((fir<"f"> * x).e),
             backwards = w.value((reverse * x).e), shuffled = w.value((permute<"order"> * x).e);
  const expr lags = build::with<terms::applied>(build::with<terms::lags>(taps.e), x.e);
  const auto history = w.value(lags);
  std::vector<bool> met(static_cast<std::size_t>(T), false);
  for (Index t = 0; t < T; ++t) {
    for (Index c = 0; c < C; ++c) {
      double sum = 0;
      for (Index k = 0; k < K; ++k) {
        const Index from = t - (K - 1 - k);
        const double expected = from < 0 ? 0 : values[from * C + c];
        CHECK(history[(t * C + c) * K + k] == expected);
        sum += f[c * K + k] * expected;
      }
      CHECK(y[t * C + c] == doctest::Approx(sum).epsilon(1e-14));
      CHECK(backwards[t * C + c] == values[(T - 1 - t) * C + c]);
    }
    for (Index from = 0; from < T; ++from)
      if (shuffled[t * C] == values[from * C] && shuffled[t * C + 1] == values[from * C + 1])
        met[static_cast<std::size_t>(from)] = true;
  }
  for (const bool once : met) CHECK(once);
  CHECK((shuffled - values).cwiseAbs().maxCoeff() > 0.1);
}

TEST_CASE("Scan with I - b k k^T is h_t = h_{t-1} - b_t k_t (k_t h_{t-1}) + x_t, and its transpose runs backwards") {
  const witness w(sizes, 7);
  const auto k = input<"k", state>, x = input<"v", state>;
  const auto b = input<"b", no_axes>;
  const auto transition = id + diag(-b) * (diag(k) * (expand<state> * (contract<state> * diag(k))));
  const auto recurrence = scan(transition);
  const auto keys = w.value(k.e), rate = w.value(b.e), added = w.value(x.e), y = w.value((recurrence * x).e),
             back = w.value((adjoint(recurrence) * x).e);
  double h[N] = {}, g[N] = {};
  const auto step = [&](double(&state)[N], Index of, Index plus) {
    double along = 0;
    for (Index n = 0; n < N; ++n) along += keys[of * N + n] * state[n];
    for (Index n = 0; n < N; ++n) state[n] += -rate[of] * keys[of * N + n] * along + added[plus * N + n];
  };
  for (Index t = 0; t < T; ++t) {
    step(h, t, t);
    step(g, t == 0 ? 0 : T - t, T - 1 - t);
    for (Index n = 0; n < N; ++n) {
      CHECK(y[t * N + n] == doctest::Approx(h[n]).epsilon(1e-13));
      CHECK(back[(T - 1 - t) * N + n] == doctest::Approx(g[n]).epsilon(1e-13));
    }
  }
  const expr retimed = build::with<terms::retimed>(adjoint(transition).e);
  const MatrixXd twice = w.matrix((reverse * (op<state, state>{build::with<terms::scan>(retimed)} * reverse)).e, state);
  CHECK(relative_difference(twice, w.matrix(recurrence.e).transpose()) <= 1e-14);
  CHECK_THROWS_AS(w.matrix(build::with<terms::scan>((diag(x) * delay).e)), internal_error);
}

TEST_CASE("RowNorm of Attend is causal softmax attention, and RowNorm1 divides by at least 1") {
  const witness w(sizes, 8);
  const auto q = input<"q", head | state>, k = input<"k", head | state>;
  const auto v = input<"v", head | chan>;
  const auto queries = w.value(q.e), keys = w.value(k.e), values = w.value(v.e);
  constexpr Index H = sizes.heads;
  const auto normal = w.value((rownorm(attend(q, k)) * v).e),
             bounded = w.value((bounded_rownorm(diag(param<"s", head>) * attend(q, k)) * v).e),
             scale = w.value(param<"s", head>.e);
  for (Index h = 0; h < H; ++h)
    for (Index t = 0; t < T; ++t)
      for (Index c = 0; c < C; ++c) {
        double sum = 0, rows = 0;
        for (Index s = 0; s <= t; ++s) {
          double score = 0;
          for (Index n = 0; n < N; ++n) score += queries[(t * H + h) * N + n] * keys[(s * H + h) * N + n];
          sum += std::exp(score) * values[(s * H + h) * C + c];
          rows += std::exp(score);
        }
        const Index at = (t * H + h) * C + c;
        const double factor = scale[h];
        CHECK(normal[at] == doctest::Approx(sum / rows).epsilon(1e-13));
        CHECK(bounded[at] == doctest::Approx(factor * sum / std::max(std::abs(factor * rows), 1.0)).epsilon(1e-13));
      }
}

TEST_CASE("a rotation is a complex product, and its transpose turns back") {
  const witness w(sizes, 9);
  const auto a = input<"a">, angle = input<"angle">;
  const auto z = input<"z", chan | part>;
  const auto r = rotate(a, angle);
  const auto size = w.value(a.e), phi = w.value(angle.e), values = w.value(z.e), y = w.value((r * z).e),
             back = w.value((adjoint(r) * z).e), re = w.value((real * z).e), again = w.value((embed * a).e);
  for (Index i = 0; i < T * C; ++i) {
    const std::complex<double> factor = std::polar(1.0, phi[i]) * size[i], value(values[2 * i], values[2 * i + 1]);
    const std::complex<double> there = factor * value, conjugate = std::conj(factor) * value;
    CHECK(y[2 * i] == doctest::Approx(there.real()).epsilon(1e-13));
    CHECK(y[2 * i + 1] == doctest::Approx(there.imag()).epsilon(1e-13));
    CHECK(back[2 * i] == doctest::Approx(conjugate.real()).epsilon(1e-13));
    CHECK(back[2 * i + 1] == doctest::Approx(conjugate.imag()).epsilon(1e-13));
    CHECK(re[i] == values[2 * i]);
    CHECK(again[2 * i] == size[i]);
    CHECK(again[2 * i + 1] == 0);
  }
}

TEST_CASE("Contract_T sums over all tokens into what has no tokens, and Expand_T is its transpose") {
  const witness w(sizes, 10);
  const expr sum = build::leaf<terms::over_tokens>(), repeat = build::leaf<terms::every_token>();
  const auto x = w.value(input<"x">.e);
  const MatrixXd total = w.matrix(sum, chan), back = w.matrix(repeat, chan);
  CHECK(total.transpose() == back);
  const Eigen::VectorXd y = total * x;
  for (Index c = 0; c < C; ++c) {
    double expected = 0;
    for (Index t = 0; t < T; ++t) expected += x[t * C + c];
    CHECK(y[c] == doctest::Approx(expected).epsilon(1e-14));
  }
  CHECK(y.tail((T - 1) * C).isZero(0));
}

TEST_CASE("numbers are constants for every axis, and held streams keep their value") {
  const witness w(sizes, 11);
  const auto x = input<"x">;
  const auto halves = w.value((number<"-0.5"> * x).e);
  CHECK(halves == -0.5 * w.value(x.e));
  CHECK(w.value(build::with<terms::held>(x.e)) == w.value(x.e));
}

TEST_CASE("a Mix reads its weight as the stream of its axes, and what a checkpoint stores row by row") {
  const witness w(sizes, 12);
  const auto x = input<"x">;
  const auto weight = param<"W", chan | state>;
  const auto values = w.value(x.e), entries = w.value(weight.e), y = w.value(linear<"W", state>(x).e);
  const expr mix = build::mix(weight.e, state, chan);
  const std::vector<double> stored = reference::stored_parameter({sizes}, mix.g[mix.top().a], 12);
  for (Index n = 0; n < N; ++n) {
    double sum = 0;
    for (Index c = 0; c < C; ++c) {
      sum += entries[c * N + n] * values[c];
      CHECK(stored[static_cast<std::size_t>(n * C + c)] == entries[c * N + n]);
    }
    CHECK(y[n] == doctest::Approx(sum).epsilon(1e-14));
  }
  const expr square = build::mix(param<"S">.e, chan, chan);
  const std::vector<double> rows = reference::stored_parameter({sizes}, square.g[square.top().a], 12);
  const MatrixXd m = w.matrix(square);
  for (Index i = 0; i < C; ++i)
    for (Index j = 0; j < C; ++j) CHECK(m(C + i, C + j) == rows[static_cast<std::size_t>(i * C + j)]);
}

TEST_CASE("J is what central differences measure, and J = F + G") {
  const witness w(sizes, 13);
  const auto x = input<"x">;
  const auto taps = param<"f", chan | tap>;
  const auto gated = [](const stream<chan>& s, const stream<chan | tap>& f) {
    const op<chan, chan> filter{build::with<terms::conv>(f.e)};
    const auto kept = scan(sigmoid(s) + number<"0.1"> * s);
    return diag(tanh(s)) * (filter * (kept * silu(s))) + -silu(s) + log(square(s) + exp(s)) * cos(s);
  };
  const expr y = gated(x, taps).e;
  // Central differences with a step of 1e-4: truncation 1e-8, rounding 1e-12 of values of order one.
  const auto measured = [&](const auto& ahead, const auto& behind) -> Eigen::VectorXd {
    return (w.value(ahead.e) - w.value(behind.e)) / 2e-4;
  };
  const auto d = input<"d">;
  const Eigen::VectorXd along = w.derivative(y, "x", w.value(d.e));
  CHECK(relative_difference(
            along, measured(gated(x + number<"0.0001"> * d, taps), gated(x + number<"-0.0001"> * d, taps))) <= 1e-6);
  const auto e = param<"e", chan | tap>;
  Eigen::VectorXd direction = Eigen::VectorXd::Zero(T * C * sizes.taps);
  direction.head(C * sizes.taps) = w.value(e.e).head(C * sizes.taps);
  CHECK(relative_difference(w.derivative(y, "f", direction), measured(gated(x, taps + number<"0.0001"> * e),
                                                                      gated(x, taps + number<"-0.0001"> * e))) <= 1e-6);

  const auto of = [&](const auto& v, const auto& s, auto marker) { return build::with<decltype(marker)>(s, v.e); };
  const auto value_path = diag(tanh(x)) * (fir<"f"> * (scan(sigmoid(x)) * silu(x) + -relu(x))) + square(relu(x));
  const expr s = value_path.e;
  const MatrixXd J = w.matrix(of(x, s, terms::derivative{})), F = w.matrix(of(x, s, terms::frozen{})),
                 G = w.matrix(of(x, s, terms::controls{}));
  CHECK(relative_difference(F + G, J) <= 1e-14);
  CHECK(relative_difference(J * w.value(d.e), w.derivative(s, "x", w.value(d.e))) <= 1e-14);
  CHECK(w.value(of(x, s, terms::remainder{})).cwiseAbs().maxCoeff() <= 1e-14);
  CHECK(G.cwiseAbs().maxCoeff() > 0.1);
  CHECK(w.derivative(build::with<terms::held>(s), "x", w.value(d.e)).isZero(0));
}

TEST_CASE("a delta rule is the inverse of a unit lower triangular matrix: tril(Q K') (I + tril(B K K', -1))^-1 B") {
  // Yang et al. 2024, Sec. 3: the recurrence, and the matrix form that chunked kernels invert.
  const auto k = input<"k", state>, q = input<"q", state>;
  const auto beta = sigmoid(input<"b", no_axes>);
  const auto erase = diag(-k) * (expand<state> * (contract<state> * (diag(beta) * diag(k))));
  const auto H =
      contract<state> * (diag(q) * (scan(op<state, state>{(id + erase).e}) * (diag(k) * (diag(beta) * expand<state>))));
  const witness w({.tokens = 7, .heads = 1, .channels = 1, .states = 3}, 9);
  const auto rows = [&](const expr& e) -> MatrixXd { return w.value(e).reshaped<Eigen::RowMajor>(7, 3); };
  const MatrixXd K = rows(k.e), Q = rows(q.e), B = w.value(beta.e).asDiagonal();
  const MatrixXd strict = (B * K * K.transpose()).triangularView<Eigen::StrictlyLower>(),
                 lower = (Q * K.transpose()).triangularView<Eigen::Lower>();
  const MatrixXd inverse = (MatrixXd::Identity(7, 7) + strict).inverse();
  CHECK(relative_difference(w.matrix(H.e, chan), lower * inverse * B) <= 1e-13);
  // Scan(P) itself is such an inverse: (I - P Delay)^-1.
  const MatrixXd P = w.matrix((id + erase).e, state), Z = w.matrix(delay.e, state);
  CHECK(relative_difference(w.matrix(scan(op<state, state>{(id + erase).e}).e, state),
                            (MatrixXd::Identity(21, 21) - P * Z).inverse()) <= 1e-13);
}

}  // namespace
}  // namespace alphaform

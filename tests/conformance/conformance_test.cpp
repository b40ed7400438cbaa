// What implicit attention promises, for every registered architecture on random parameters: y = H x + r, and all views
// of H agree with each other, with the dense witness and with the formulas written as plain loops. Plans tell the
// memory that a query then takes.
#include <doctest/doctest.h>

#include <alphaform/backends/reference/witness.hpp>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::as_map;
using test::as_matrix;
using test::as_stream;
using test::matrices;
using test::random_mixer;

constexpr reduction every_reduction[] = {reduction::mean, reduction::abs_mean, reduction::clamp, reduction::max};

/// Lengths below the filter's, odd, and over one block of tokens; channels odd, even and over one block.
struct length final {
  int tokens, channels;
};
constexpr length lengths[] = {{1, 5}, {3, 4}, {5, 18}, {70, 3}};

/// Calls f(mixer) for every architecture, length, and both for parameters as drawn and for slow decay.
template <class F>
void for_every_mixer(F f) {
  for (const architecture& a : registry)
    for (const length& l : lengths)
      for (const bool slow : {false, true}) {
        if (slow && !test::has_slow_decay(a)) continue;
        random_mixer m(a, {l.tokens, 2, l.channels, 4, 3, 4, 2}, 11);
        if (slow) m.slow();
        CAPTURE(a.name);
        CAPTURE(l.tokens);
        CAPTURE(slow);
        f(m);
      }
}

MatrixXd random_matrix(std::string_view name, Index rows, Index columns) {
  return MatrixXd::NullaryExpr(rows, columns, [&](Index i, Index j) { return reference::uniform(name, i, j, 5); });
}
/// The same numbers as a stream of the mixer.
tensor<double> as_tensor(const MatrixXd& m, const random_mixer& mixer) {
  const tensor<double> x = arena<double>(reference_kernels()).make(mixer.stream());
  REQUIRE(volume(x.v.size) == static_cast<std::size_t>(m.size()));
  for (Index t = 0; t < m.rows(); ++t)
    for (Index c = 0; c < m.cols(); ++c) x.v.data[t * m.cols() + c] = m(t, c);
  return x;
}
tensor<double> random_stream(std::string_view name, const random_mixer& m) {
  return as_tensor(random_matrix(name, m.sizes().tokens, static_cast<Index>(m.channels())), m);
}

// Two evaluations in double differ by some hundred roundings of 1e-16 each.
constexpr double rounding = 1e-12;
// y is the recurrence, H x another order of the same sums: the bound that is promised.
constexpr double identity = 1e-11;

TEST_CASE("y = H x + r") {
  for_every_mixer([](const random_mixer& m) {
    auto a = m.on(reference_kernels());
    const MatrixXd y = as_stream(a.output());
    REQUIRE(y.rows() == m.sizes().tokens);
    REQUIRE(y.cols() == static_cast<Index>(m.channels()));
    CHECK(y.cwiseAbs().maxCoeff() > 1e-3);
    CHECK(relative_difference(as_stream(a.apply(a.x())) + as_stream(a.remainder()), y) <= identity);
  });
}

TEST_CASE("rows and columns are those of the materialised matrices of all channels") {
  for_every_mixer([](const random_mixer& m) {
    auto a = m.on(reference_kernels());
    const std::vector<MatrixXd> H = matrices(a);
    double scale = 0, row_miss = 0, column_miss = 0;
    for (const MatrixXd& h : H) scale = std::max(scale, h.cwiseAbs().maxCoeff());
    for (std::size_t i = 0; i < m.tokens(); ++i) {
      const auto t = static_cast<Index>(i);
      const MatrixXd row = as_stream(a.row(i)), column = as_stream(a.column(i));
      for (std::size_t k = 0; k < m.channels(); ++k) {
        const auto c = static_cast<Index>(k);
        row_miss = std::max(row_miss, (row.col(c) - H[k].row(t).transpose()).cwiseAbs().maxCoeff());
        column_miss = std::max(column_miss, (column.col(c) - H[k].col(t)).cwiseAbs().maxCoeff());
      }
    }
    CHECK(row_miss <= rounding * scale);
    CHECK(column_miss <= rounding * scale);
  });
}

TEST_CASE("reduced maps are means of the materialised matrices and reduced rows are their rows") {
  for_every_mixer([](const random_mixer& m) {
    auto a = m.on(reference_kernels());
    for (const reduction over : every_reduction) {
      CAPTURE(text_of(over));
      MatrixXd mean = MatrixXd::Zero(m.sizes().tokens, m.sizes().tokens);
      for (const MatrixXd& h : matrices(a)) {
        if (over == reduction::mean) mean += h;
        if (over == reduction::abs_mean) mean += h.cwiseAbs();
        if (over == reduction::clamp) mean += h.cwiseMax(0);
        if (over == reduction::max) mean = mean.cwiseMax(h.cwiseAbs());
      }
      if (over != reduction::max) mean /= static_cast<double>(m.channels());
      const MatrixXd map = as_map(a.reduced_matrix(over));
      CHECK(relative_difference(map, mean) <= rounding);
      double miss = 0;
      for (std::size_t i = 0; i < m.tokens(); ++i) {
        const VectorXd row = as_matrix(a.reduced_row(i, over), axis::token, axis::column).col(0);
        miss = std::max(miss, (row - map.row(static_cast<Index>(i)).transpose()).cwiseAbs().maxCoeff());
      }
      CHECK(miss <= rounding * mean.cwiseAbs().maxCoeff());
    }
  });
}

TEST_CASE("adjoint: <g, H x> = <H' g, x>") {
  for_every_mixer([](const random_mixer& m) {
    auto a = m.on(reference_kernels());
    const tensor<double> x = random_stream("some x", m), g = random_stream("some g", m);
    const MatrixXd gHx = as_stream(g).cwiseProduct(as_stream(a.apply(x)));
    const MatrixXd Hgx = as_stream(a.adjoint(g)).cwiseProduct(as_stream(x));
    CHECK(std::abs(gHx.sum() - Hgx.sum()) <= rounding * gHx.cwiseAbs().sum());
  });
}

TEST_CASE("no token influences an earlier one, unless both directions are declared") {
  for_every_mixer([](const random_mixer& m) {
    auto a = m.on(reference_kernels());
    CHECK(m.is_two_sided() == (m.of().name == "vim"));
    const auto above = [](const MatrixXd& map) -> double {
      return map.triangularView<Eigen::StrictlyUpper>().toDenseMatrix().cwiseAbs().maxCoeff();
    };
    if (m.is_two_sided()) {
      if (m.tokens() > 1) CHECK(above(as_map(a.matrix(0))) > 1e-6);
      return;
    }
    for (const MatrixXd& h : matrices(a)) CHECK(above(h) == 0);
    for (const reduction over : every_reduction) CHECK(above(as_map(a.reduced_matrix(over))) == 0);
  });
}

TEST_CASE("apply is linear and its finite differences are the columns: controls stay frozen") {
  for_every_mixer([](const random_mixer& m) {
    auto a = m.on(reference_kernels());
    const tensor<double> x = random_stream("one", m), z = random_stream("other", m);
    const MatrixXd together = as_stream(a.apply(as_tensor(2 * as_stream(x) - 3 * as_stream(z), m)));
    CHECK(relative_difference(2 * as_stream(a.apply(x)) - 3 * as_stream(a.apply(z)), together) <= rounding);
    const auto j = static_cast<Index>(m.tokens() / 2);
    MatrixXd more = as_stream(a.x()), less = more;
    more.row(j).array() += 0.5;
    less.row(j).array() -= 0.5;
    MatrixXd unit = MatrixXd::Zero(more.rows(), more.cols());
    unit.row(j).array() = 1;
    const MatrixXd column =
        a.mixes_channels() ? as_stream(a.apply(as_tensor(unit, m))) : as_stream(a.column(m.tokens() / 2));
    const MatrixXd difference = as_stream(a.apply(as_tensor(more, m))) - as_stream(a.apply(as_tensor(less, m)));
    CHECK((difference - column).cwiseAbs().maxCoeff() <=
          rounding * as_stream(a.output()).cwiseAbs().maxCoeff() + rounding);
  });
}

TEST_CASE("where no control depends on x H is the Jacobian of y by central differences") {
  const auto reads_x = [](const node& n) { return n.is<terms::input>() && n.id == value_input; };
  bool some = false;
  for (const architecture& d : registry) {
    const derivation derived = derive(d.attention);
    if (occurs({derived, derived.formula}, reads_x)) continue;
    some = true;
    CAPTURE(d.name);
    const random_mixer m(d, {17, 2, 5, 4, 3, 4, 2}, 12);
    auto a = m.on(reference_kernels());
    const double step = 1e-3;
    if (a.mixes_channels()) continue;  // its columns are those of a channel alone
    for (const std::size_t j : {0u, 8u, 16u}) {
      const auto shifted = [&](double by) {
        random_mixer other = m;
        std::size_t at = 0;
        other.change("x", [&](double v) { return at++ / m.channels() == j ? v + by : v; });
        return as_stream(other.on(reference_kernels()).output());
      };
      // y is linear in x here, so that only the rounding of y over the step is left: 1e-16 / 1e-3.
      CHECK(relative_difference((shifted(step) - shifted(-step)) / (2 * step), as_stream(a.column(j))) <= 1e-6);
    }
  }
  CHECK(some);
}

TEST_CASE("the materialised matrices are the dense witness of the derived formula") {
  for (const architecture& d : registry)
    for (const witness_sizes& sizes : {witness_sizes{1, 2, 3, 2, 2, 4, 2}, witness_sizes{2, 2, 3, 2, 2, 4, 2},
                                       witness_sizes{13, 2, 3, 2, 3, 4, 1}}) {
      CAPTURE(d.name);
      CAPTURE(sizes.tokens);
      const random_mixer m(d, sizes, 13);
      auto a = m.on(reference_kernels());
      const derivation derived = derive(d.attention);
      const witness w(sizes, 13);
      const MatrixXd dense = w.matrix({derived, derived.formula}, d.attention.top().to);
      const VectorXd r = w.value({derived, derived.remainder}, d.attention.top().to), y = w.value(d.attention);
      MatrixXd found = a.mixes_channels() ? dense : MatrixXd::Zero(dense.rows(), dense.cols());
      const std::vector<MatrixXd> H = matrices(a);
      for (Index t = 0; t < sizes.tokens; ++t)
        for (Index s = 0; s < sizes.tokens; ++s)
          for (Index c = 0, all = static_cast<Index>(m.channels()); c < all; ++c)
            found(t * all + c, s * all + c) = H[static_cast<std::size_t>(c)](t, s);
      const auto flat = [](const MatrixXd& stream) -> MatrixXd {
        return stream.transpose().reshaped();  // [T, C] with channels fastest
      };
      CHECK(relative_difference(found, dense) <= rounding);
      CHECK(relative_difference(flat(as_stream(a.apply(a.x()))), dense * flat(as_stream(a.x()))) <= rounding);
      CHECK(relative_difference(flat(as_stream(a.adjoint(a.x()))), dense.transpose() * flat(as_stream(a.x()))) <=
            rounding);
      CHECK(relative_difference(flat(as_stream(a.remainder())), r) <= rounding);
      CHECK(relative_difference(flat(as_stream(a.output())), y) <= rounding);
    }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_CASE("Mamba: H_c = Diag(silu z) (alpha_c + D_c) Diag(sigma(c)) M_c as plain loops") {
  constexpr std::size_t T = 17, C = 6, N = 5, R = 3, K = 4;
  const random_mixer m(find_architecture("mamba"), {T, 1, C, N, R, K}, 14);
  auto attention = m.on(reference_kernels());
  const auto &x = m.numbers("x"), &z = m.numbers("z"), &taps = m.numbers("conv1d.weight"),
             &bias = m.numbers("conv1d.bias"), &D = m.numbers("D"), &A_log = m.numbers("A_log"),
             &dt_bias = m.numbers("dt_proj.bias"), &W_dt = m.numbers("x_proj.weight[dt]"),
             &W_B = m.numbers("x_proj.weight[B]"), &W_C = m.numbers("x_proj.weight[C]"),
             &W_up = m.numbers("dt_proj.weight");
  double c[T][C], v[T][C], Delta[T][C], B[T][N] = {}, Read[T][N] = {};
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t e = 0; e < C; ++e) {
      c[t][e] = bias[e];
      for (std::size_t k = 0; k < K && k <= t; ++k) c[t][e] += taps[e * K + K - 1 - k] * x[(t - k) * C + e];
      v[t][e] = c[t][e] * sigmoid(c[t][e]);
    }
    double low[R] = {};
    for (std::size_t e = 0; e < C; ++e) {
      for (std::size_t i = 0; i < R; ++i) low[i] += W_dt[i * C + e] * v[t][e];
      for (std::size_t n = 0; n < N; ++n) B[t][n] += W_B[n * C + e] * v[t][e];
      for (std::size_t n = 0; n < N; ++n) Read[t][n] += W_C[n * C + e] * v[t][e];
    }
    for (std::size_t e = 0; e < C; ++e) {
      double up = dt_bias[e];
      for (std::size_t i = 0; i < R; ++i) up += W_up[e * R + i] * low[i];
      Delta[t][e] = std::log1p(std::exp(up));
    }
  }
  for (std::size_t e = 0; e < C; ++e) {
    MatrixXd H = MatrixXd::Zero(T, T);
    for (std::size_t t = 0; t < T; ++t)
      for (std::size_t s = 0; s <= t; ++s) {
        double steps = 0, alpha = s == t ? D[e] : 0;
        for (std::size_t k = s + 1; k <= t; ++k) steps += Delta[k][e];
        for (std::size_t n = 0; n < N; ++n)
          alpha += Read[t][n] * std::exp(-std::exp(A_log[e * N + n]) * steps) * Delta[s][e] * B[s][n];
        const double gate = z[t * C + e] * sigmoid(z[t * C + e]);
        for (std::size_t k = 0; k < K && k <= s; ++k)
          H(static_cast<Index>(t), static_cast<Index>(s - k)) +=
              gate * alpha * sigmoid(c[s][e]) * taps[e * K + K - 1 - k];
      }
    CHECK(relative_difference(as_map(attention.matrix(e)), H) <= rounding);
  }
}

/// H_c of RWKV-4 from section 3.4: sigma(r_t) times weights over their sum, divided by the largest before that.
MatrixXd rwkv4_by_loops(const random_mixer& m, std::size_t c) {
  const std::size_t T = m.tokens(), C = m.channels();
  const double w = -std::exp(m.numbers("time_decay")[c]), u = m.numbers("time_first")[c];
  MatrixXd H = MatrixXd::Zero(m.sizes().tokens, m.sizes().tokens);
  for (std::size_t t = 0; t < T; ++t) {
    std::vector<double> logs;
    for (std::size_t s = 0; s < t; ++s) logs.push_back(static_cast<double>(t - 1 - s) * w + m.numbers("k")[s * C + c]);
    logs.push_back(u + m.numbers("k")[t * C + c]);
    const double top = *std::max_element(logs.begin(), logs.end());
    double sum = 0;
    for (const double l : logs) sum += std::exp(l - top);
    for (std::size_t s = 0; s <= t; ++s)
      H(static_cast<Index>(t), static_cast<Index>(s)) =
          sigmoid(m.numbers("r")[t * C + c]) * std::exp(logs[s] - top) / sum;
  }
  return H;
}

TEST_CASE("RWKV-4: H_c is sigma(r) times a weighted mean as plain loops") {
  const random_mixer m(find_architecture("rwkv4"), {17, 1, 6, 1, 1, 1}, 15);
  auto a = m.on(reference_kernels());
  for (std::size_t c = 0; c < m.channels(); ++c)
    CHECK(relative_difference(as_map(a.matrix(c)), rwkv4_by_loops(m, c)) <= rounding);
}

// float32 rounds by 6e-8; some hundred additions and products of such numbers stay below the promised 2e-5.
constexpr double in_float = 2e-5;

ON_EVERY_DEVICE("float32 agrees with the reference in double") {
  USE_DEVICE();
  for_every_mixer([](random_mixer m) {
    m.rounded();
    auto exact = m.on(reference_kernels());
    auto a = m.on(Device::all());
    CHECK(relative_difference(as_stream(a.output()), as_stream(exact.output())) <= in_float);
    CHECK(relative_difference(as_stream(a.apply(a.x())), as_stream(exact.apply(exact.x()))) <= in_float);
    CHECK(relative_difference(as_stream(a.adjoint(a.x())), as_stream(exact.adjoint(exact.x()))) <= in_float);
    CHECK(relative_difference(as_stream(a.remainder()), as_stream(exact.remainder())) <= in_float);
    const std::size_t last = m.tokens() - 1;
    CHECK(relative_difference(as_stream(a.row(last)), as_stream(exact.row(last))) <= in_float);
    CHECK(relative_difference(as_stream(a.column(0)), as_stream(exact.column(0))) <= in_float);
    CHECK(relative_difference(as_map(a.matrix(last % 3)), as_map(exact.matrix(last % 3))) <= in_float);
    for (const reduction over : every_reduction) {
      // Channels of either sign cancel in a mean: its rounding is that of the mean of magnitudes.
      const reduction size_of = over == reduction::max ? reduction::max : reduction::abs_mean;
      const double scale = as_map(exact.reduced_matrix(size_of)).maxCoeff();
      const auto miss = [](const MatrixXd& x, const MatrixXd& y) { return (x - y).cwiseAbs().maxCoeff(); };
      CHECK(miss(as_map(a.reduced_matrix(over)), as_map(exact.reduced_matrix(over))) <= in_float * scale);
      CHECK(miss(as_matrix(a.reduced_row(last, over), axis::token, axis::column),
                 as_matrix(exact.reduced_row(last, over), axis::token, axis::column)) <= in_float * scale);
    }
  });
}

// ---- Edges

/// Rows of H over sigma(r) sum to one; y is finite and H x.
template <class T>
void check_weighted_means(const random_mixer& m, const kernels<T>& backend, double tolerance) {
  auto a = m.on(backend);
  const MatrixXd y = as_stream(a.output());
  CHECK(relative_difference(as_stream(a.apply(a.x())) + as_stream(a.remainder()), y) <= tolerance);
  double miss = 0;
  for (std::size_t c = 0; c < m.channels(); ++c) {
    const MatrixXd H = as_map(a.matrix(c));
    for (Index t = 0; t < H.rows(); ++t)
      miss = std::max(
          miss, std::abs(H.row(t).sum() / sigmoid(m.numbers("r")[static_cast<std::size_t>(t) * m.channels() + c]) - 1));
    CHECK(relative_difference(H, rwkv4_by_loops(m, c)) <= tolerance);
  }
  CHECK(miss <= tolerance);
}

ON_EVERY_DEVICE("RWKV-4: keys of +-100 and more and any decay give weighted means") {
  USE_DEVICE();
  struct edge final {
    double key, decay;  // |k|, and time_decay: w = -exp(time_decay)
  };
  // exp(100) leaves float32 and exp(1000) leaves double. w: -1, forgotten at once, never forgotten.
  for (const edge& e : {edge{100, 0}, edge{100, 6}, edge{100, -20}, edge{1, 6}, edge{1, -20}}) {
    CAPTURE(e.key);
    CAPTURE(e.decay);
    random_mixer m(find_architecture("rwkv4"), {70, 1, 5, 1, 1, 1}, 16);
    m.set("time_decay", e.decay).change("k", [&](double k) { return std::copysign(e.key, k); }).rounded();
    check_weighted_means(m, reference_kernels(), rounding);
    check_weighted_means(m, Device::all(), in_float);
    m.change("k", [](double k) { return 10 * k; });
    check_weighted_means(m, reference_kernels(), rounding);
  }
}

ON_EVERY_DEVICE("Mamba: steps Delta of about 0 and 50 are finite and y = H x + r") {
  USE_DEVICE();
  for (const double bias : {-50.0, 50.0}) {
    CAPTURE(bias);
    random_mixer m(find_architecture("mamba"), {70, 1, 21, 5, 3, 4}, 17);
    m.set("dt_proj.bias", bias).rounded();
    auto exact = m.on(reference_kernels());
    auto a = m.on(Device::all());
    const MatrixXd y = as_stream(exact.output());
    CHECK(relative_difference(as_stream(exact.apply(exact.x())) + as_stream(exact.remainder()), y) <= identity);
    CHECK(relative_difference(as_stream(a.apply(a.x())) + as_stream(a.remainder()), y) <= in_float);
    for (const reduction over : every_reduction) {
      const MatrixXd map = as_map(exact.reduced_matrix(over));
      CHECK(relative_difference(as_map(a.reduced_matrix(over)), map) <= in_float);
    }
    // Without steps nothing is written, with steps of 50 nothing of the past is left: H is a filter between Diags.
    const MatrixXd H = as_map(exact.matrix(3));
    for (Index t = 0; t < H.rows(); ++t)
      for (Index s = 0; s < t - 3; ++s) CHECK(std::abs(H(t, s)) <= 1e-7 * H.cwiseAbs().maxCoeff());
  }
}

TEST_CASE("tokens and channels that do not exist are refused") {
  for (const architecture& d : registry) {
    const random_mixer m(d, {3, 2, 5, 4, 3, 4, 2}, 18);
    auto a = m.on(reference_kernels());
    CHECK_THROWS_WITH_AS(a.row(3), doctest::Contains("tokens 0 to 2"), user_error);
    CHECK_THROWS_WITH_AS(a.column(7), doctest::Contains("token 7"), user_error);
    CHECK_THROWS_WITH_AS(a.reduced_row(3, reduction::mean), doctest::Contains("token 3"), user_error);
    const std::string known = "channels 0 to " + std::to_string(m.channels() - 1);
    CHECK_THROWS_WITH_AS(a.matrix(m.channels()), doctest::Contains(known.c_str()), user_error);
  }
}

// ---- Plans

/// Answers the query and lets the result go.
template <class T>
void ask(implicit_attention<T>& a, const query& q) {
  switch (q.is) {
    case query::kind::apply:
      a.apply(a.x());
      return;
    case query::kind::adjoint:
      a.adjoint(a.x());
      return;
    case query::kind::remainder:
      a.remainder();
      return;
    case query::kind::row:
      a.row(q.at);
      return;
    case query::kind::column:
      a.column(q.at);
      return;
    case query::kind::matrix:
      a.matrix(q.at);
      return;
    case query::kind::reduced_row:
      a.reduced_row(q.at, q.over);
      return;
    case query::kind::reduced_matrix:
      a.reduced_matrix(q.over);
      return;
  }
}

/// Bytes, as the memory of a device tells them, or else those of the engine.
template <class T>
std::size_t taken_by(const kernels<T>& backend, implicit_attention<T>& a, const query& q) {
  if (backend.most_in_use != nullptr) backend.most_in_use();
  ask(a, q);
  return backend.most_in_use != nullptr ? backend.most_in_use() : a.peak_bytes();
}

template <class T>
void check_plans(const random_mixer& m, const kernels<T>& backend) {
  using kind = query::kind;
  for (const kind is : {kind::apply, kind::adjoint, kind::remainder, kind::row, kind::column, kind::matrix,
                        kind::reduced_row, kind::reduced_matrix})
    for (const reduction over : every_reduction) {
      const query q{is, 2 % m.tokens(), over};
      auto a = m.on(backend);
      const query_plan p = a.plan(q);
      CAPTURE(p.query);
      CAPTURE(backend.name);
      CHECK(a.peak_bytes() == 0);
      CHECK(p.peak_bytes == taken_by(backend, a, q));
      CHECK(p.all.bytes > 0);
      CHECK(p.tokens == m.tokens());
      CHECK(p.channels == m.channels());
      if (is != kind::remainder) CHECK(p.all.flops > 0);  // a remainder may be 0
    }
}

ON_EVERY_DEVICE("a plan's peak memory is exactly what the query then uses") {
  USE_DEVICE();
  for_every_mixer([](const random_mixer& m) {
    if (test::tests_cpu()) check_plans(m, reference_kernels());
    check_plans(m, Device::all());
  });
}

ON_EVERY_DEVICE("the mean map of one layer of Mamba 130m at 1024 tokens takes less than 64 MiB") {
  USE_DEVICE();
  constexpr std::size_t most = 64 << 20;
  const random_mixer m(find_architecture("mamba"), {1024, 1, 1536, 16, 48, 4}, 19);
  auto a = m.on(Device::all());
  const query_plan p = a.plan({query::kind::reduced_matrix, 0, reduction::mean});
  CHECK(p.peak_bytes < most);
  const std::size_t taken = taken_by(Device::all(), a, {query::kind::reduced_matrix, 0, reduction::mean});
  MESSAGE("peak memory: " << static_cast<double>(taken) / (1 << 20) << " MiB");
  CHECK(taken == p.peak_bytes);
  const MatrixXd map = as_map(a.reduced_matrix(reduction::mean));
  const MatrixXd row = as_matrix(a.reduced_row(1023, reduction::mean), axis::token, axis::column);
  CHECK(relative_difference(map.row(1023), row.transpose()) <= in_float);
}

}  // namespace
}  // namespace alphaform

// The rollout without maps against the product of the maps themselves, and what threads and limits of memory may and
// may not change.
#include <doctest/doctest.h>

#include <Eigen/Core>
#include <alphaform/backends/model/rollout.hpp>
#include <alphaform/backends/parallel.hpp>
#include <cmath>
#include <filesystem>

#include "../devices.hpp"
#include "goldens.hpp"

namespace alphaform {
namespace {

const std::filesystem::path golden = test::golden_folder;

std::vector<std::int64_t> ids_for(std::size_t vocabulary, std::size_t tokens) {
  std::vector<std::int64_t> ids(tokens);
  for (std::size_t t = 0; t < tokens; ++t) ids[t] = static_cast<std::int64_t>((t * 7919 + 3) % vocabulary);
  return ids;
}

/// Row `token` of the product over the layers of (1 + A), rows divided by their sums, from dense maps.
Eigen::RowVectorXd dense_row(const model<double>& m, std::span<const std::int64_t> ids, std::size_t token) {
  const auto tokens = static_cast<Eigen::Index>(ids.size());
  const forward_pass<double> pass = m.run(ids, {.of = extent_of_run::logits::none});
  Eigen::RowVectorXd v = Eigen::RowVectorXd::Unit(tokens, static_cast<Eigen::Index>(token));
  for (std::size_t i = m.layers(); i-- > 0;) {
    const tensor<double> map = m.attention(i, pass.mixer_in[i], pass.shared).reduced_matrix(reduction::mean);
    Eigen::MatrixXd P = Eigen::Map<const Eigen::Matrix<double, -1, -1, Eigen::RowMajor>>(map.v.data, tokens, tokens);
    P += Eigen::MatrixXd::Identity(tokens, tokens);
    P.array().colwise() /= P.rowwise().sum().array().eval();
    v = v * P;
  }
  return v;
}

template <class T>
double miss(const std::vector<T>& scores, const Eigen::RowVectorXd& expected) {
  double most = 0;
  for (std::size_t t = 0; t < scores.size(); ++t)
    most = std::max(most, std::abs(static_cast<double>(scores[t]) - expected[static_cast<Eigen::Index>(t)]));
  return most / expected.cwiseAbs().maxCoeff();
}

ON_EVERY_DEVICE("a rollout row without maps is the row of the product of the maps, in stretches of any length") {
  USE_DEVICE();
  const auto by_stretches = {"mamba", "mamba2", "hgrn",  "hgrn2",           "gla", "retnet",
                             "rwkv6", "rwkv7",  "mlstm", "gated_delta_net", "kda"};
  const auto at_once = {"griffin", "rwkv4"};
  std::vector<std::string_view> names(by_stretches.begin(), by_stretches.end());
  names.insert(names.end(), at_once.begin(), at_once.end());
  for (const std::string_view name : names) {
    CAPTURE(name);
    const checkpoint file = checkpoint::open(golden / name);
    const model<double> exact(file, reference_kernels());
    const model<float> quick(file, Device::all());
    CHECK(exact.comes_in_stretches() == (std::find(at_once.begin(), at_once.end(), name) == at_once.end()));
    const std::vector<std::int64_t> ids = ids_for(exact.vocabulary(), 37);
    for (const std::size_t token : {std::size_t{36}, std::size_t{5}}) {
      const Eigen::RowVectorXd expected = dense_row(exact, ids, token);
      const rolled_out<double> all = rollout_row(exact, ids, {.token = token});
      CHECK(all.least_row_sum > 0);
      CHECK(miss(all.scores, expected) <= 1e-12);
      for (const std::size_t stretch :
           std::initializer_list<std::size_t>{token == 5 ? 2u : 1u, token == 5 ? 5u : 36u}) {
        CAPTURE(stretch);
        const rollout_options o{.token = token, .stretch = stretch, .stream_bytes = 1};
        CHECK(miss(rollout_row(exact, ids, o).scores, expected) <= 1e-12);
        CHECK(miss(rollout_row(quick, ids, o).scores, expected) <= 1e-4 / all.least_row_sum);
      }
      CHECK(miss(rollout_row(quick, ids, {.token = token}).scores, expected) <= 1e-4 / all.least_row_sum);
    }
    CHECK_THROWS_AS(rollout_row(exact, ids, {.token = 37}), user_error);
  }
}

/// Long enough for windows and threads in each stretch.
ON_EVERY_DEVICE("a rollout row of a long text does not depend on its stretches") {
  USE_DEVICE();
  for (const char* name : {"mamba", "gla", "rwkv7"}) {
    CAPTURE(name);
    const model<float> m(checkpoint::open(golden / name), Device::all());
    const std::vector<std::int64_t> ids = ids_for(m.vocabulary(), 2500);
    const rolled_out<float> at_once = rollout_row(m, ids, {.stretch = 2500});
    const Eigen::RowVectorXd expected =
        Eigen::Map<const Eigen::RowVectorXf>(at_once.scores.data(), 2500).cast<double>();
    CHECK(expected.sum() == doctest::Approx(1).epsilon(1e-3));
    // What the engine promises of float, for rows that are divided by their sums.
    for (const std::size_t stretch : std::initializer_list<std::size_t>{617, 2048})
      CHECK(miss(rollout_row(m, ids, {.stretch = stretch}).scores, expected) <= 1e-5 / at_once.least_row_sum);
  }
}

TEST_CASE("stretches do not go on from another model's state") {
  const checkpoint file = checkpoint::open(golden / "mamba");
  const model<float> m(file, cpu_kernels()), other(file, cpu_kernels());
  const std::vector<std::int64_t> ids = ids_for(m.vocabulary(), 5);
  stretch_state<float> state;
  std::size_t layers = 0;
  m.run_stretch(ids, state, [&layers](std::size_t layer, const auto& a) {
    CHECK(layer == layers++);
    CHECK(a->tokens() == 5);
  });
  CHECK(layers == m.layers());
  stretch_state<float> copy = state.copied(arena<float>(cpu_kernels()), cpu_kernels());
  for (stretch_state<float>* of_m : {&state, &copy})
    CHECK_THROWS_WITH_AS(other.run_stretch(ids, *of_m, [](std::size_t, const auto&) {}),
                         doctest::Contains("another model"), user_error);
}

/// Sets the number of threads for a scope.
struct with_threads final {
  std::size_t before = threads();
  explicit with_threads(std::size_t n) { use_threads(n); }
  ~with_threads() { use_threads(before); }
};

/// Everything that is asked of two models on a text over several windows.
std::vector<float> answers(const char* name) {
  const checkpoint file = checkpoint::open(golden / name);
  const model<float> m(file, cpu_kernels());
  const std::vector<std::int64_t> ids = ids_for(m.vocabulary(), 700);
  std::vector<float> all;
  const auto keep = [&all](const tensor<float>& t) { all.insert(all.end(), t.v.data, t.v.data + volume(t.v.size)); };
  const forward_pass<float> pass = m.run(ids);
  keep(pass.logits);
  implicit_attention<float> a = m.attention(1, pass.mixer_in[1], pass.shared);
  keep(a.apply(a.x()));
  keep(a.adjoint(a.output()));
  keep(a.row(650));
  keep(a.reduced_matrix(reduction::mean));
  keep(a.reduced_matrix(reduction::abs_mean));
  const std::vector<float> scores = rollout_row(m, ids, {.stretch = 300}).scores;
  all.insert(all.end(), scores.begin(), scores.end());
  return all;
}

TEST_CASE("results are the same bit for bit with any number of threads") {
  for (const char* name : {"mamba", "gla"}) {
    CAPTURE(name);
    std::vector<float> one;
    {
      const with_threads t(1);
      one = answers(name);
    }
    for (const std::size_t n : std::initializer_list<std::size_t>{2, 3, 7}) {
      const with_threads t(n);
      CHECK(answers(name) == one);
    }
  }
}

TEST_CASE("a limit of memory makes windows smaller, is kept, and what cannot fit is refused with the number") {
  const checkpoint file = checkpoint::open(golden / "mamba");
  const model<float> m(file, cpu_kernels());
  const std::vector<std::int64_t> ids = ids_for(m.vocabulary(), 900);
  const forward_pass<float> pass = m.run(ids, {.of = extent_of_run::logits::none});
  const auto attention = [&] { return m.attention(0, pass.mixer_in[0], pass.shared); };
  const query q{query::kind::apply};
  implicit_attention<float> usual = attention();
  const query_plan plan = usual.plan(q);
  const tensor<float> expected = usual.apply(usual.x());
  implicit_attention<float> limited = attention();
  limited.use_at_most(plan.peak_bytes - 1);
  const query_plan smaller = limited.plan(q);
  CHECK(smaller.window < plan.window);
  CHECK(smaller.peak_bytes < plan.peak_bytes);
  const tensor<float> found = limited.apply(limited.x());
  CHECK(limited.peak_bytes() <= smaller.peak_bytes);
  double difference = 0, scale = 0;
  for (std::size_t k = 0; k < volume(expected.v.size); ++k) {
    difference = std::max(difference, std::abs(static_cast<double>(found.v.data[k] - expected.v.data[k])));
    scale = std::max(scale, std::abs(static_cast<double>(expected.v.data[k])));
  }
  CHECK(difference <= 1e-5 * scale);
  implicit_attention<float> refused = attention();
  refused.use_at_most(1000);
  CHECK_THROWS_WITH_AS(refused.apply(refused.x()), doctest::Contains("at most 1000"), user_error);
}

}  // namespace
}  // namespace alphaform

// Token scores against their definitions as dense matrices (rollout: Abnar and Zuidema 2020, with half an identity),
// and probabilities against the softmax.
#include <doctest/doctest.h>

#include <Eigen/Core>
#include <alphaform/explain/methods.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "../temporary_folder.hpp"

namespace alphaform {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using test::check_refused;

// Scores are float32 in [0, 1].
constexpr double in_float = 1e-6;

/// Random maps with non-negative entries on and below the diagonal; some are 0, no row is.
std::vector<layer_map> random_maps(std::size_t layers, std::size_t tokens, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 2);
  std::vector<layer_map> maps;
  for (std::size_t l = 0; l < layers; ++l) {
    layer_map map{static_cast<int>(l), "abs-mean", std::vector<float>(tokens * tokens, 0.0F)};
    for (std::size_t i = 0; i < tokens; ++i) {
      for (std::size_t j = 0; j <= i; ++j) map.values[i * tokens + j] = std::max(0.0F, uniform(random) - 0.5F);
      map.values[i * tokens + i] += 0.01F;
    }
    maps.push_back(map);
  }
  return maps;
}

MatrixXd rownorm(MatrixXd m) {
  for (Index i = 0; i < m.rows(); ++i) m.row(i) /= m.row(i).sum();
  return m;
}
MatrixXd dense(const layer_map& map, Index tokens) {
  return MatrixXd::NullaryExpr(tokens, tokens, [&](Index i, Index j) {
    return static_cast<double>(map.values[static_cast<std::size_t>(i * tokens + j)]);
  });
}
double difference(const std::vector<float>& scores, const Eigen::RowVectorXd& expected) {
  REQUIRE(scores.size() == static_cast<std::size_t>(expected.size()));
  double worst = 0;
  for (std::size_t k = 0; k < scores.size(); ++k) {
    REQUIRE(std::isfinite(scores[k]));
    worst = std::max(worst, std::abs(static_cast<double>(scores[k]) - expected[static_cast<Index>(k)]));
  }
  return worst;
}

TEST_CASE("rollout is the last row of the product of rownorm(I + rownorm(A)) and raw the mean of last rows") {
  for (const std::size_t tokens : {1u, 2u, 7u, 33u})
    for (const std::size_t layers : {1u, 2u, 5u}) {
      CAPTURE(tokens);
      CAPTURE(layers);
      const auto T = static_cast<Index>(tokens);
      const std::vector<layer_map> maps = random_maps(layers, tokens, static_cast<unsigned>(100 * tokens + layers));
      MatrixXd product = MatrixXd::Identity(T, T);
      Eigen::RowVectorXd last = Eigen::RowVectorXd::Zero(T);
      for (const layer_map& map : maps) {
        const MatrixXd A = rownorm(dense(map, T));
        product = rownorm(MatrixXd::Identity(T, T) + A) * product;  // later layers on the left
        last += A.row(T - 1) / static_cast<double>(layers);
      }
      CHECK(difference(token_scores(method::rollout, maps, tokens), product.row(T - 1)) <= in_float);
      CHECK(difference(token_scores(method::raw, maps, tokens), last) <= in_float);
    }
}

TEST_CASE("two tokens and two layers by hand") {
  // rownorm(A_0) = [1 0; .25 .75], rownorm(A_1) = [1 0; .5 .5]; half the identity and half each: [1 0; .125 .875] and
  // [1 0; .25 .75]. Last row of the product: .25 [1 0] + .75 [.125 .875].
  const std::vector<layer_map> maps{{0, "abs-mean", {2, 0, 1, 3}}, {1, "abs-mean", {1, 0, 4, 4}}};
  CHECK(token_scores(method::rollout, maps, 2) == std::vector<float>{0.34375F, 0.65625F});
  CHECK(token_scores(method::raw, maps, 2) == std::vector<float>{0.375F, 0.625F});
}

TEST_CASE("maps that cannot be normalised are refused by their layer and row") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  for (const method m : {method::raw, method::rollout})
    for (const float entry : {0.0F, nan, infinite}) {
      std::vector<layer_map> maps = random_maps(3, 4, 9);
      std::fill(maps[1].values.begin() + 12, maps[1].values.end(), entry);
      check_refused([&] { token_scores(m, maps, 4); }, {"row 3", "layer 1"});
    }
  std::vector<layer_map> maps = random_maps(2, 4, 10);
  maps[1].values[12] = 1;  // the last token reads token 0 ...
  std::fill(maps[0].values.begin(), maps[0].values.begin() + 4, 0.0F);
  check_refused([&] { token_scores(method::rollout, maps, 4); }, {"row 0", "layer 0"});  // ... which reads nothing
  CHECK(token_scores(method::raw, maps, 4).size() == 4);                                 // raw does not look there
}

TEST_CASE("names of methods are read back and others are refused with those known") {
  for (const method m : {method::raw, method::rollout}) CHECK(method_of(text_of(m)) == m);
  check_refused([] { method_of("shap"); }, {"'shap'", "raw", "rollout"});
}

TEST_CASE("predictions are the softmax in falling order") {
  const std::vector<double> logits{0.5, 1000, -3, 999, 1000};
  const std::vector<std::string> labels{"a", "b", "c", "d", "e"};
  const auto name = [&](std::size_t output) { return labels[output]; };
  const std::vector<prediction> all = predictions_of(logits, 9, name);
  REQUIRE(all.size() == 5);
  double sum = 0;
  for (const prediction& p : all) sum += p.probability;
  CHECK(sum == doctest::Approx(1).epsilon(1e-14));
  const double top = 1 / (2 + std::exp(-1.0));
  CHECK(all[0].label + all[1].label + all[2].label + all[3].label + all[4].label == "bedac");
  CHECK(all[0].probability == doctest::Approx(top).epsilon(1e-14));
  CHECK(all[1].probability == all[0].probability);
  CHECK(all[2].probability == doctest::Approx(top * std::exp(-1.0)).epsilon(1e-14));
  CHECK(all[4].probability == 0);
  const std::vector<prediction> two = predictions_of(logits, 2, name);
  REQUIRE(two.size() == 2);
  CHECK(two[1].probability == all[1].probability);
}

}  // namespace
}  // namespace alphaform

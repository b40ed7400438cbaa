// Whole queries on 65,536 tokens in float32, for decays so slow that a step of the state rounds to nothing if it is
// taken carelessly: 1e-6 and 1e-4 a token, and 200 nats in all. A sum a h + b x in float misses these by up to 40 times
// the bound.
#include <doctest/doctest.h>

#include <cmath>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

using test::random_mixer;

constexpr int tokens = 65536;
constexpr double rates[] = {1e-6, 1e-4, 200.0 / tokens};  // decays are about exp(-rate), all within a factor of three

/// The number at which softplus is y.
double inverse_softplus(double y) { return std::log(std::expm1(y)); }

struct slowing final {
  std::string_view architecture, name;
  double (*number)(double random, double rate);
};
constexpr slowing slowings[] = {
    {"mamba", "dt_proj.weight", [](double v, double) { return 0.3 * v; }},
    {"mamba", "dt_proj.bias", [](double v, double rate) { return inverse_softplus(rate) + 0.3 * v; }},
    {"mamba", "A_log", [](double v, double) { return 0.3 * v; }},
    {"mamba2", "dt", [](double v, double) { return 0.3 * v; }},
    {"mamba2", "dt_bias", [](double v, double rate) { return inverse_softplus(rate) + 0.3 * v; }},
    {"mamba2", "A_log", [](double v, double) { return 0.3 * v; }},
    {"griffin", "rg_lru.recurrent_param", [](double v, double rate) { return inverse_softplus(rate / 4) + 0.3 * v; }},
    {"hgrn", "lower_bound", [](double, double rate) { return 1 - 2 * rate; }},
    {"gla", "a", [](double v, double rate) { return 0.3 * v - inverse_softplus(16 * rate); }},
    {"retnet", "gamma", [](double v, double rate) { return 1 - rate * (1 + 0.3 * v); }},
    {"rwkv5", "time_decay", [](double v, double rate) { return std::log(rate) + 0.3 * v; }},
    {"rwkv6", "w", [](double v, double rate) { return std::log(rate) + 0.3 * v; }},
    {"gated_delta_net", "A_log", [](double v, double rate) { return std::log(rate) + 0.3 * v; }}};

/// max |a - b| / max |b|
double miss(const tensor<float>& found, const tensor<double>& b) {
  const tensor<float> a = on_host(found);
  REQUIRE(a.v.size == b.v.size);
  double most = 0, scale = 0;
  for (std::size_t k = 0; k < volume(b.v.size); ++k) {
    const double difference = std::abs(static_cast<double>(a.v.data[k]) - b.v.data[k]);
    most = std::max(most, std::isnan(difference) ? HUGE_VAL : difference);
    scale = std::max(scale, std::abs(b.v.data[k]));
  }
  REQUIRE(scale > 0);
  return most / scale;
}

template <class T>
tensor<T> wave(const extents& size, const kernels<T>& k) {
  std::vector<T> x(volume(size));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<T>(static_cast<float>(std::sin(0.7 * static_cast<double>(i)) + 0.3));
  return stored(x, size, k);
}

ON_EVERY_DEVICE("queries on 65536 tokens stay accurate at slow decays") {
  USE_DEVICE();
  for (const architecture& a : registry) {
    if (std::none_of(std::begin(slowings), std::end(slowings),
                     [&](const slowing& s) { return s.architecture == a.name; }))
      continue;
    for (const double rate : rates) {
      random_mixer m(a, {.tokens = tokens, .heads = 1, .channels = 8, .states = 2, .ranks = 2, .taps = 4, .groups = 1},
                     31);
      for (const slowing& s : slowings)
        if (s.architecture == a.name) m.change(std::string(s.name), [&](double v) { return s.number(v, rate); });
      m.rounded();
      auto exact = m.on(reference_kernels());
      auto found = m.on(*test::tested_device);
      const tensor<double> x = wave(exact.stream(), reference_kernels());
      const tensor<float> x_float = wave(found.stream(), *test::tested_device);
      const double apply = miss(found.apply(x_float), exact.apply(x)),
                   adjoint = miss(found.adjoint(x_float), exact.adjoint(x)),
                   row = miss(found.row(tokens - 1), exact.row(tokens - 1)),
                   column = miss(found.column(0), exact.column(0));
      MESSAGE(std::string(a.name) << " at " << rate << " a token: H x " << apply << ", H' g " << adjoint << ", row "
                                  << row << ", column " << column);
      for (const double error : {apply, adjoint, row, column}) CHECK(error <= 1e-5);
    }
  }
}

}  // namespace
}  // namespace alphaform

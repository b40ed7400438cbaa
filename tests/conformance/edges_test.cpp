// Edges of the recurrences: decays that are exactly 0 and 1, a reset in the middle of a text, steps and keys far out,
// corrections of none, of all and of twice what the state holds.
#include <doctest/doctest.h>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

using Eigen::MatrixXd;
using test::as_map;
using test::as_stream;
using test::random_mixer;

constexpr witness_sizes sizes{70, 2, 3, 4, 3, 4, 2};
// The bounds that are promised: another order of the same sums in double; float32, which rounds by 6e-8, over 70
// tokens.
constexpr double identity = 1e-11, in_float = 2e-5;

/// y is finite and H x + r, in double and in float32.
void check_identity(random_mixer& m) {
  m.rounded();
  auto exact = m.on(reference_kernels());
  auto a = m.on(*test::tested_device);
  const MatrixXd y = as_stream(exact.output());
  const double scale = std::max(y.cwiseAbs().maxCoeff(), 1e-30);
  const auto miss = [&](const MatrixXd& b) { return (b - y).cwiseAbs().maxCoeff() / scale; };
  CHECK(miss(as_stream(exact.apply(exact.x())) + as_stream(exact.remainder())) <= identity);
  CHECK(miss(as_stream(a.output())) <= in_float);
  CHECK(miss(as_stream(a.apply(a.x())) + as_stream(a.remainder())) <= in_float);
}

/// Numbers at which an architecture's decay is exactly 0, or exactly 1, everywhere.
struct setting_of_decay final {
  std::string_view architecture, name;
  double forgets, keeps;  // NaN where it cannot be exactly that
};
constexpr double no = std::numeric_limits<double>::quiet_NaN();
constexpr setting_of_decay decays[] = {{"mamba", "A_log", 12, -100},
                                       {"falcon_mamba", "A_log", 12, -100},
                                       {"mamba2", "A_log", 12, -100},
                                       {"mamba2_grouped", "A_log", 12, -100},
                                       {"vim", "A_log", 12, -100},
                                       {"griffin", "rg_lru.recurrent_param", 2000, -2000},
                                       {"hawk", "rg_lru.recurrent_param", 2000, -2000},
                                       {"rwkv4", "time_decay", 10, -100},
                                       {"rwkv5", "time_decay", 10, -100},
                                       {"rwkv6", "w", 10, -100},
                                       {"rwkv7", "w", no, -1000},
                                       {"retnet", "gamma", 0, 1},
                                       {"hgrn", "f", -1e6, 1e6},
                                       {"hgrn_complex", "f", -1e6, 1e6},
                                       {"hgrn2", "f", -1e6, 1e6},
                                       {"gla", "a", -1e6, 1e6},
                                       {"gated_delta_net", "A_log", 12, -100},
                                       {"kda", "A_log", 12, -100},
                                       {"mingru", "z", 1e6, -1e6},
                                       {"minlstm", "f", -1e6, no},
                                       {"gateloop", "a", no, 1e6},
                                       {"lru", "nu_log", 10, -100}};

ON_EVERY_DEVICE("decays of exactly 0 and exactly 1 keep y finite and y = H x + r") {
  USE_DEVICE();
  for (const setting_of_decay& s : decays)
    for (const double value : {s.forgets, s.keeps}) {
      if (std::isnan(value)) continue;
      CAPTURE(s.architecture);
      CAPTURE(value);
      random_mixer m(find_architecture(s.architecture), sizes, 51);
      const std::string name(s.name);
      REQUIRE(m.has(name));
      m.set(name, value);
      for (const char* lowest : {"log_decay_min", "lower_bound"})
        if (m.has(lowest)) m.set(lowest, lowest == std::string_view("lower_bound") ? 0 : -1e30);
      // An identity as filter, so that the decay's own stream is what was set.
      if (m.has("f_conv1d.weight")) {
        std::size_t at = 0;
        m.change("f_conv1d.weight", [&](double) { return ++at % 4 == 0 ? 1.0 : 0.0; }).set("f_conv1d.bias", 0);
      }
      check_identity(m);
    }
}

ON_EVERY_DEVICE("a reset in the middle of a text separates what is before from what is after") {
  USE_DEVICE();
  struct reset final {
    std::string_view architecture, input;
    double value;
  };
  for (const reset& s : {reset{"gla", "a", -1e6}, reset{"mingru", "z", 1e6}, reset{"hgrn_complex", "f", -1e6},
                         reset{"minlstm", "f", -1e6}}) {
    CAPTURE(s.architecture);
    random_mixer m(find_architecture(s.architecture), {9, 2, 3, 4, 3, 4, 1}, 52);
    const std::string name(s.input);
    const std::size_t entries = m.numbers(name).size() / 9, at_token = 4;
    std::size_t at = 0;
    m.change(name, [&](double v) { return at++ / entries == at_token ? s.value : v; });
    if (m.has("log_decay_min")) m.set("log_decay_min", -1e30);
    if (m.has("lower_bound")) m.set("lower_bound", 0);
    auto a = m.on(reference_kernels());
    for (std::size_t c = 0; c < m.channels(); ++c) {
      const MatrixXd H = as_map(a.matrix(c));
      CHECK(H.block(at_token, 0, 5, at_token).cwiseAbs().maxCoeff() == 0);
      CHECK(H.block(0, 0, at_token, at_token).cwiseAbs().maxCoeff() > 0);
    }
    check_identity(m);
  }
}

ON_EVERY_DEVICE("delta rules that correct nothing, all, and twice what the state holds") {
  USE_DEVICE();
  for (const char* name : {"delta_net", "gated_delta_net", "kda"})
    for (const double beta : {0.0, 1.0, 2.0}) {
      CAPTURE(name);
      CAPTURE(beta);
      random_mixer m(find_architecture(name), sizes, 53);
      m.set("b", beta == 0 ? -1e6 : 1e6).set("beta_max", beta == 0 ? 1 : beta).set("l2_eps", 0).set("l2_floor", 0);
      check_identity(m);
      if (beta == 0) CHECK(as_stream(m.on(reference_kernels()).output()).cwiseAbs().maxCoeff() == 0);
    }
  // With beta = 1 and one key for all tokens the state holds the last value alone.
  random_mixer m(find_architecture("delta_net"), {5, 2, 3, 4, 3, 4, 1}, 54);
  m.set("b", 1e6).set("beta_max", 1).set("l2_eps", 0).set("l2_floor", 0).set("k", 1);
  std::size_t at = 0;
  m.change("k_conv1d.weight", [&](double) { return ++at % 4 == 0 ? 1.0 : 0.0; }).set("k_conv1d.bias", 0);
  at = 0;
  m.change("v_conv1d.weight", [&](double) { return ++at % 4 == 0 ? 1.0 : 0.0; }).set("v_conv1d.bias", 0);
  auto a = m.on(reference_kernels());
  for (std::size_t c = 0; c < m.channels(); ++c) {
    const MatrixXd H = as_map(a.matrix(c));
    CHECK(MatrixXd(H - MatrixXd(H.diagonal().asDiagonal())).cwiseAbs().maxCoeff() <= 1e-15 * H.cwiseAbs().maxCoeff());
  }
}

ON_EVERY_DEVICE("steps of about 0 and 50 and keys of 100 keep y finite and y = H x + r") {
  USE_DEVICE();
  struct far final {
    std::string_view architecture, name;
    double value;
  };
  for (const far& s :
       {far{"mamba2", "dt_bias", -50}, far{"mamba2", "dt_bias", 50}, far{"falcon_mamba", "dt_proj.bias", -50},
        far{"falcon_mamba", "dt_proj.bias", 50}, far{"vim", "dt_proj.bias", 50}, far{"gated_delta_net", "dt_bias", 50},
        far{"kda", "dt_bias", 50}, far{"rwkv5", "k", 100}, far{"rwkv6", "k", -100}, far{"attention", "k", 30},
        far{"mlstm", "i", 100}, far{"mlstm", "i", -100}}) {
    CAPTURE(s.architecture);
    CAPTURE(s.value);
    random_mixer m(find_architecture(s.architecture), sizes, 55);
    m.set(std::string(s.name), s.value);
    if (m.has("gate_cap")) m.set("gate_cap", 15);
    check_identity(m);
  }
}

}  // namespace
}  // namespace alphaform

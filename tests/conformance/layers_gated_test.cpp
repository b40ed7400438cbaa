// RG-LRU, HGRN, HGRN2, minGRU and minLSTM as loops. De et al. 2024, Sec. 2.4; Qin et al. 2023 and 2024 as
// flash-linear-attention has them; Feng et al. 2024, Sec. 3.
#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

array rg_lru(const layer& l) {
  const array v = filtered(l("x", "THC"), l("conv_1d.weight", "HCK")) + l("conv_1d.bias", "HC");
  const array Wr = l("rg_lru.recurrent_gate_weight", "HCC"), Wi = l("rg_lru.input_gate_weight", "HCC");
  const array br = l("rg_lru.recurrent_gate_bias", "HC"), bi = l("rg_lru.input_gate_bias", "HC");
  const array p = l("rg_lru.recurrent_param", "HC");
  array state = l.zeros("HC"), y = l.zeros("THC");
  for (index t = 0; t < l.T; ++t)
    for (index h = 0; h < l.H; ++h)
      for (index c = 0; c < l.C; ++c) {
        double r = br(h, c), i = bi(h, c);
        for (index from = 0; from < l.C; ++from) {
          r += Wr(h, c, from) * v(t, h, from);
          i += Wi(h, c, from) * v(t, h, from);
        }
        const double a = std::exp(-8 * sigmoid(r) * softplus(p(h, c)));
        const double m = t == 0 ? 1 : std::sqrt(1 - a * a);
        state(h, c) = a * state(h, c) + m * sigmoid(i) * v(t, h, c);
        y(t, h, c) = state(h, c);
      }
  return y * each(l("g", "THC"), gelu);
}

TEST_CASE("Griffin's and Hawk's recurrence is RG-LRU, whose first token is written whole") {
  is_defined_by("griffin", "THC", rg_lru);
  is_defined_by("hawk", "THC", rg_lru);
}

TEST_CASE("HGRN is its recurrence, normalised over all channels and then gated") {
  const auto hgrn = [](const layer& l) {
    const array z = filtered(l("x", "TC"), l("i_conv1d.weight", "CK")) + l("i_conv1d.bias", "C");
    const array f = filtered(l("f", "TC"), l("f_conv1d.weight", "CK")) + l("f_conv1d.bias", "C");
    const array bound = l("lower_bound", "C");
    array h = l.zeros("C"), y = l.zeros("TC");
    for (index t = 0; t < l.T; ++t)
      for (index c = 0; c < l.C; ++c) {
        const double forget = bound(c) + (1 - bound(c)) * sigmoid(f(t, c));
        h(c) = forget * h(c) + (1 - forget) * silu(z(t, c));
        y(t, c) = h(c);
      }
    return over_root_mean_square(y, l.C, l.number("eps")) * l("g_norm.weight", "C") * each(l("g", "TC"), silu);
  };
  is_defined_by("hgrn", "TC", hgrn);
}

TEST_CASE("HGRN2 writes one minus its decay, and is normalised over the channels of all heads without a gate") {
  const auto hgrn2 = [](const layer& l) {
    const array v = filtered(l("x", "THC"), l("i_conv1d.weight", "HCK")) + l("i_conv1d.bias", "HC");
    const array q = each(filtered(l("q", "THN"), l("q_conv1d.weight", "HNK")) + l("q_conv1d.bias", "HN"), silu);
    const array f = filtered(l("f", "THN"), l("f_conv1d.weight", "HNK")) + l("f_conv1d.bias", "HN");
    const array bound = l("lower_bound", "HN");
    array S = l.zeros("HNC"), y = l.zeros("THC");
    for (index t = 0; t < l.T; ++t)
      for (index h = 0; h < l.H; ++h)
        for (index n = 0; n < l.N; ++n) {
          const double forget = bound(h, n) + (1 - bound(h, n)) * sigmoid(f(t, h, n));
          for (index c = 0; c < l.C; ++c) {
            S(h, n, c) = forget * S(h, n, c) + (1 - forget) * v(t, h, c);
            y(t, h, c) += q(t, h, n) * S(h, n, c) / std::sqrt(static_cast<double>(l.N));
          }
        }
    return over_root_mean_square(y, l.H * l.C, l.number("eps")) * l("g_norm.weight", "HC");
  };
  is_defined_by("hgrn2", "THC", hgrn2);
}

/// g of Feng et al. 2024, App. B.
double positive(double x) { return x >= 0 ? x + 0.5 : sigmoid(x); }

TEST_CASE("minGRU moves its state towards the candidate by its gate") {
  const auto mingru = [](const layer& l) {
    const array x = l("x", "TC"), z = each(l("z", "TC"), sigmoid);
    array h = l.zeros("C"), y = l.zeros("TC");
    for (index t = 0; t < l.T; ++t)
      for (index c = 0; c < l.C; ++c) y(t, c) = h(c) = (1 - z(t, c)) * h(c) + z(t, c) * x(t, c);
    return y;
  };
  is_defined_by("mingru", "TC", mingru);
}
TEST_CASE("minGRU's value is positive: x + 1/2 from 0 on, sigma(x) below") {
  const auto candidate = [](const layer& l) {
    return each(matrix(l("to_hidden_and_gate.weight[hidden]", "CC"), l("u", "TC"), l.shape("TC")), positive);
  };
  projects("mingru", "x", "TC", candidate);
}

TEST_CASE("minLSTM's forget and input gates are shares of their sum") {
  const auto minlstm = [](const layer& l) {
    const array x = l("x", "TC"), f = each(l("f", "TC"), sigmoid), i = each(l("i", "TC"), sigmoid);
    array h = l.zeros("C"), y = l.zeros("TC");
    for (index t = 0; t < l.T; ++t)
      for (index c = 0; c < l.C; ++c) y(t, c) = h(c) = (f(t, c) * h(c) + i(t, c) * x(t, c)) / (f(t, c) + i(t, c));
    return y;
  };
  is_defined_by("minlstm", "TC", minlstm);
}
TEST_CASE("minLSTM's value is positive as minGRU's is") {
  const auto candidate = [](const layer& l) {
    return each(matrix(l("to_hidden_and_f_i_gate.weight[hidden]", "CC"), l("u", "TC"), l.shape("TC")), positive);
  };
  projects("minlstm", "x", "TC", candidate);
}

}  // namespace
}  // namespace alphaform::test::layers

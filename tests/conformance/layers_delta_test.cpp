// The delta rules as loops: DeltaNet, Gated DeltaNet and Kimi Delta Attention. Yang et al. 2024b, Eq. 3; Yang et al.
// 2025, Eq. 10; Kimi Team 2025, Eq. 1; all as flash-linear-attention has them.
#include <alphaform/architectures/delta_net.hpp>
#include <alphaform/architectures/kda.hpp>

#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

/// Queries or keys [T, G, N]: filter, SiLU, length 1.
array query(const layer& l, const std::string& name) {
  const array s =
      each(filtered(l(name, "TGN"), l(name + "_conv1d.weight", "GNK")) + l(name + "_conv1d.bias", "GN"), silu);
  return of_length_1(s, l.N, l.number("l2_eps"), std::sqrt(std::max(0.0, l.number("l2_floor"))));
}

/// First the state decays, S' = diag(a_t) S_{t-1}; then what it holds along k_t moves towards v_t by the share beta:
/// S_t = S' + beta k_t (v_t - S'' k_t)', S'' the transpose of S'.
array delta_rule(const layer& l, const std::function<double(index t, index g, index h, index n)>& decay) {
  const array v = each(filtered(l("x", "TGHC"), l("v_conv1d.weight", "GHCK")) + l("v_conv1d.bias", "GHC"), silu);
  const array q = query(l, "q"), k = query(l, "k"), b = l("b", "TGH");
  array S = l.zeros("GHNC"), y = l.zeros("TGHC");
  for (index t = 0; t < l.T; ++t)
    for (index g = 0; g < l.G; ++g)
      for (index h = 0; h < l.H; ++h)
        for (index c = 0; c < l.C; ++c) {
          double held = 0;
          for (index n = 0; n < l.N; ++n) {
            S(g, h, n, c) *= decay(t, g, h, n);
            held += k(t, g, n) * S(g, h, n, c);
          }
          for (index n = 0; n < l.N; ++n) {
            S(g, h, n, c) += l.number("beta_max") * sigmoid(b(t, g, h)) * k(t, g, n) * (v(t, g, h, c) - held);
            y(t, g, h, c) += q(t, g, n) * S(g, h, n, c) / std::sqrt(static_cast<double>(l.N));
          }
        }
  return over_root_mean_square(y, l.C, l.number("eps")) * l("o_norm.weight", "C");
}

array delta_net(const layer& l) {
  return delta_rule(l, [](index, index, index, index) { return 1.0; });
}
array gated_delta_net(const layer& l) {
  const array a = l("a", "TGH"), bias = l("dt_bias", "GH"), A_log = l("A_log", "GH");
  const auto decay = [&](index t, index g, index h, index) {
    return std::exp(-std::exp(A_log(g, h)) * softplus(a(t, g, h) + bias(g, h)));
  };
  return delta_rule(l, decay) * each(l("g", "TGHC"), silu);
}
array kda(const layer& l, bool bounded) {
  const array a = l("a", "TGHN"), bias = l("dt_bias", "GHN"), A_log = l("A_log", "GH");
  const auto decay = [&](index t, index g, index h, index n) {
    const double step = a(t, g, h, n) + bias(g, h, n), rate = std::exp(A_log(g, h));
    return std::exp(bounded ? l.number("lower_bound") * sigmoid(rate * step) : -rate * softplus(step));
  };
  return delta_rule(l, decay) * each(l("g", "TGHC"), sigmoid);
}

/// An epsilon inside the root, and a beta up to 2 as with negative eigenvalues.
void epsilon_inside(layer& l) {
  l.set("beta_max", 2);
  l.set("l2_eps", 1e-6);
  l.set("l2_floor", 0);
}
/// No length below the square root of 0.3, which some are.
void least_length(layer& l) {
  l.set("beta_max", 1);
  l.set("l2_eps", 0);
  l.set("l2_floor", 0.3);
}

TEST_CASE("DeltaNet corrects what its state holds along the key") {
  is_defined_by("delta_net", "TGHC", delta_net, epsilon_inside);
  is_defined_by("delta_net", "TGHC", delta_net, least_length);
  is_defined_by(
      as_architecture<architectures::delta_net_with<true>>(), "TGHC",
      [](const layer& l) { return delta_net(l) * each(l("g", "TGHC"), silu); }, epsilon_inside);
}
TEST_CASE("Gated DeltaNet decays by one number a head and token before it corrects") {
  is_defined_by("gated_delta_net", "TGHC", gated_delta_net, epsilon_inside);
}
TEST_CASE("KDA decays by key channel before it corrects, and its gate is sigma") {
  is_defined_by(
      "kda", "TGHC", [](const layer& l) { return kda(l, false); }, epsilon_inside);
  const auto bound = [](layer& l) {
    epsilon_inside(l);
    l.set("lower_bound", -5);
  };
  is_defined_by(
      as_architecture<architectures::kda_with<true>>(), "TGHC", [](const layer& l) { return kda(l, true); }, bound);
}

}  // namespace
}  // namespace alphaform::test::layers

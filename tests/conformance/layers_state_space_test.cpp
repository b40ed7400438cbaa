// Mamba, Falcon-Mamba, Mamba-2 and Vim as loops over tokens, channels and state entries, with nothing shared with their
// declarations. Gu and Dao 2023, Algorithm 2; Zuo et al. 2024; Dao and Gu 2024; Zhu et al. 2024, Algorithm 1.
#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

/// S6 on x [T, C], its filter and the skip included: Delta, B and C come from the filtered x.
/// @param b  the suffix of the names of one direction of Vim
array s6(const layer& l, const array& x, const std::string& b = "", bool divided = false) {
  const array v = each(filtered(x, l("conv1d" + b + ".weight", "CK")) + l("conv1d" + b + ".bias", "C"), silu);
  const std::string projection = "x_proj" + b + ".weight";
  array low = matrix(l(projection + "[dt]", "RC"), v, l.shape("TR"));
  array B = matrix(l(projection + "[B]", "NC"), v, l.shape("TN"));
  array C = matrix(l(projection + "[C]", "NC"), v, l.shape("TN"));
  if (divided) {
    const double epsilon = l.number("control_eps");
    low = over_root_mean_square(low, l.R, epsilon);
    B = over_root_mean_square(B, l.N, epsilon);
    C = over_root_mean_square(C, l.N, epsilon);
  }
  const array dt =
      each(matrix(l("dt_proj" + b + ".weight", "CR"), low, l.shape("TC")) + l("dt_proj" + b + ".bias", "C"), softplus);
  const array A_log = l(b.empty() ? "A_log" : "A_b_log", "CN"), D = l(b.empty() ? "D" : "D_b", "C");
  array h = l.zeros("CN"), y = l.zeros("TC");
  for (index t = 0; t < l.T; ++t)
    for (index c = 0; c < l.C; ++c) {
      y(t, c) = D(c) * v(t, c);
      for (index n = 0; n < l.N; ++n) {
        h(c, n) = std::exp(-std::exp(A_log(c, n)) * dt(t, c)) * h(c, n) + dt(t, c) * B(t, n) * v(t, c);
        y(t, c) += C(t, n) * h(c, n);
      }
    }
  return y;
}

/// Mamba-2 before its norm: y SiLU(z), [T, G, H, C].
array ssd(const layer& l) {
  const auto passed = [&](const char* input, const char* letters, const std::string& slice, const char* filters) {
    const array w = l("conv1d.weight[" + slice + "]", std::string(filters) + "K");
    return each(filtered(l(input, letters), w) + l("conv1d.bias[" + slice + "]", filters), silu);
  };
  const array v = passed("x", "TGHC", "x", "GHC"), B = passed("b", "TGN", "B", "GN"), C = passed("c", "TGN", "C", "GN");
  const array z = l("z", "TGHC"), raw = l("dt", "TGH") + l("dt_bias", "GH"), A_log = l("A_log", "GH"), D = l("D", "GH");
  array S = l.zeros("GHCN"), y = l.zeros("TGHC");
  for (index t = 0; t < l.T; ++t)
    for (index g = 0; g < l.G; ++g)
      for (index h = 0; h < l.H; ++h) {
        const double dt = std::min(std::max(softplus(raw(t, g, h)), l.number("dt_min")), l.number("dt_max"));
        const double decay = std::exp(-dt * std::exp(A_log(g, h)));
        for (index c = 0; c < l.C; ++c) {
          double sum = D(g, h) * v(t, g, h, c);
          for (index n = 0; n < l.N; ++n) {
            S(g, h, c, n) = decay * S(g, h, c, n) + dt * B(t, g, n) * v(t, g, h, c);
            sum += C(t, g, n) * S(g, h, c, n);
          }
          y(t, g, h, c) = sum * silu(z(t, g, h, c));
        }
      }
  return y;
}
/// Bounds that some steps are below, some above and some between.
void bounded_steps(layer& l) {
  l.set("dt_min", 0.5);
  l.set("dt_max", 0.9);
}

TEST_CASE("Mamba is its recurrence over channels and states") {
  is_defined_by("mamba", "TC", [](const layer& l) { return s6(l, l("x", "TC")) * each(l("z", "TC"), silu); });
}
TEST_CASE("Falcon-Mamba is Mamba whose low-rank step, B and C are divided by their root mean squares") {
  is_defined_by("falcon_mamba", "TC",
                [](const layer& l) { return s6(l, l("x", "TC"), "", true) * each(l("z", "TC"), silu); });
}
TEST_CASE("Vim is Mamba on the tokens in both orders, halved inside one gate") {
  const auto both = [](const layer& l) {
    const array there = s6(l, l("x", "TC")), back = backwards(s6(l, backwards(l("x", "TC")), "_b"));
    return each(there + back, [](double y) { return y / 2; }) * each(l("z", "TC"), silu);
  };
  is_defined_by("vim", "TC", both, [](layer& l) { l.set("share", 0.5); });
}
TEST_CASE("Mamba-2 is its recurrence over heads, gated and then divided by the root mean square of all channels") {
  const auto whole = [](const layer& l) {
    return over_root_mean_square(ssd(l), l.G * l.H * l.C, l.number("eps")) * l("norm.weight", "GHC");
  };
  is_defined_by("mamba2", "TGHC", whole, bounded_steps);
}
TEST_CASE("Mamba-2 normalised by groups divides by the root mean square of a group's channels") {
  const auto grouped = [](const layer& l) {
    return over_root_mean_square(ssd(l), l.H * l.C, l.number("eps")) * l("norm.weight", "GHC");
  };
  is_defined_by("mamba2_grouped", "TGHC", grouped, bounded_steps);
}

}  // namespace
}  // namespace alphaform::test::layers

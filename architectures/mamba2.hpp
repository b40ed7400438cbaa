// Mamba-2, the state space layer whose decay is one number a head: h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t v_t for
// all channels of a head, y_t = C_t h_t + D v_t, gated by SiLU(z) and then normalised. B and C are shared by the heads
// of a group. Dao and Gu 2024, Sec. 7; the paper's Eq. 10 and 11. Here v = SiLU(Conv x + b), and B and C pass filters
// of their own. The mean square of the norm is one of the whole width (transformers) or of a group (mamba_ssm, fla);
// with one group both are the same.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

template <bool NormPerGroup>
struct mamba2_with final {
  static constexpr heading about{
      NormPerGroup ? "mamba2_grouped" : "mamba2",
      NormPerGroup ? "Mamba-2 (SSD), normalised by groups" : "Mamba-2 (SSD)", "paper Eq. 10-11; Dao and Gu 2024",
      "A recurrence per head with a state, whose step size, write and read depend on the token."};
  static constexpr axes wide = group | head | chan, heads = group | head, per_group = group | state;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"in_proj.weight[x]", "in_proj.bias[x]", wide>(u).e},
                                          {"z", affine<"in_proj.weight[z]", "in_proj.bias[z]", wide>(u).e},
                                          {"b", affine<"in_proj.weight[B]", "in_proj.bias[B]", per_group>(u).e},
                                          {"c", affine<"in_proj.weight[C]", "in_proj.bias[C]", per_group>(u).e},
                                          {"dt", affine<"in_proj.weight[dt]", "in_proj.bias[dt]", heads>(u).e}};
  static constexpr auto z = input<"z", wide>;
  static constexpr auto c = let<"f">(conv<"conv1d.weight[x]", "conv1d.bias[x]">(input<"x", wide>)),
                        v = let<"v">(silu(c));
  static constexpr auto ssd = [] {
    auto step = softplus(input<"dt", heads> + param<"dt_bias", heads>);
    auto dt = let<"Delta">(min(max(step, param<"dt_min", no_axes>), param<"dt_max", no_axes>));
    auto A = let<"A">(-exp(param<"A_log", heads>));
    auto B = let<"B">(silu(conv<"conv1d.weight[B]", "conv1d.bias[B]">(input<"b", per_group>)));
    auto C = let<"C">(silu(conv<"conv1d.weight[C]", "conv1d.bias[C]">(input<"c", per_group>)));
    return unrolled(decay(exp(dt * A)), write(dt * B), read(C));
  }();
  static constexpr auto skip = diag(param<"D", heads>);
  static constexpr auto gated = let<"g">(gate(silu(z)) * ((ssd + skip) * v));
  static constexpr axes over = NormPerGroup ? head | chan : wide;
  static constexpr auto attention = norm_over<"norm.weight", "eps", wide, over>(gated);
  static constexpr auto output = affine<"out_proj.weight", "out_proj.bias">(input<"y">);
  static constexpr printed_form printed{
      "Eq. 11",
      (diag(rho_over<"eps", over>(gated)) * gate(silu(z)) * ssd * diag(sigmoid(c)) * fir<"conv1d.weight[x]", wide>).e,
      "Eq. 11 has no skip Diag(D) and no norm weight, and loses the filter's bias. Eq. 10 subtracts the mean of a "
      "head; "
      "implementations do not: they divide by the root mean square of the whole width, or of a group's."};
};
using mamba2 = mamba2_with<false>;
using mamba2_grouped = mamba2_with<true>;

}  // namespace alphaform::architectures

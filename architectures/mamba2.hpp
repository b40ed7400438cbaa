// Mamba-2, the state space layer whose decay is one number a head: h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t v_t for
// all channels of a head, y_t = C_t h_t + D v_t, gated by SiLU(z) and then normalised over the whole width. Dao and Gu
// 2024, Sec. 7; the paper's Sec. 3.1 treats it like Mamba. Here v = SiLU(Conv x + b), and B and C pass filters of their
// own.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct mamba2 final {
  static constexpr heading about{
      "mamba2", "Mamba-2 (SSD)", "paper Sec. 3.1; Dao and Gu 2024",
      "A recurrence per head with a state, whose step size, write and read depend on the token."};
  static constexpr axes wide = head | chan;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", linear<"in_proj.weight[x]", wide>(u).e},
                                          {"z", linear<"in_proj.weight[z]", wide>(u).e},
                                          {"b", linear<"in_proj.weight[B]", state>(u).e},
                                          {"c", linear<"in_proj.weight[C]", state>(u).e},
                                          {"dt", linear<"in_proj.weight[dt]", head>(u).e}};
  static constexpr auto z = input<"z", wide>;
  static constexpr auto c = let<"f">(conv<"conv1d.weight[x]", "conv1d.bias[x]">(input<"x", wide>)),
                        v = let<"v">(silu(c));
  static constexpr auto ssd = [] {
    auto dt = let<"Delta">(softplus(input<"dt", head> + param<"dt_bias", head>));
    auto A = let<"A">(-exp(param<"A_log", head>));
    auto B = let<"B">(silu(conv<"conv1d.weight[B]", "conv1d.bias[B]">(input<"b", state>)));
    auto C = let<"C">(silu(conv<"conv1d.weight[C]", "conv1d.bias[C]">(input<"c", state>)));
    return unrolled(decay(exp(dt * A)), write(dt * B), read(C));
  }();
  static constexpr auto skip = diag(param<"D", head>);
  static constexpr auto gated = let<"g">(gate(silu(z)) * ((ssd + skip) * v));
  static constexpr auto attention = norm<"norm.weight", "eps">(gated);
  static constexpr auto output = linear<"out_proj.weight">(input<"y">);
  static constexpr printed_form printed{
      "Eq. 11", (diag(rho<"eps">(gated)) * gate(silu(z)) * ssd * diag(sigmoid(c)) * fir<"conv1d.weight[x]", wide>).e,
      "Eq. 11 has no skip Diag(D) and no norm weight, and loses the filter's bias. Eq. 10 subtracts the mean of a "
      "head; "
      "implementations do not: they divide by the root mean square of the whole width, as is done here."};
};

}  // namespace alphaform::architectures

// Mamba, the selective state space layer S6: h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t u_t, y_t = C_t h_t + D u_t,
// gated by SiLU(z), with u = SiLU(Conv x + b). Gu and Dao 2023, Algorithm 2; the paper's Eq. 4 to 9. The paper's Eq. 9
// drops the skip D and the filter's bias b: H here has the skip, and the bias makes the remainder r. Falcon-Mamba
// (Zuo et al. 2024, Sec. 3.1) divides the low-rank step, B and C by their root mean squares.
#pragma once
#include <alphaform/architectures/parts.hpp>

namespace alphaform::architectures {

template <bool Falcon>
struct mamba_with final {
  static constexpr heading about{
      Falcon ? "falcon_mamba" : "mamba", Falcon ? "Falcon-Mamba (S6)" : "Mamba (S6)",
      Falcon ? "paper Eq. 4-9; Zuo et al. 2024" : "paper Eq. 4-9; Gu and Dao 2023",
      "A recurrence per channel with a state, whose step size, write and read depend on the token."};
  static constexpr auto u = input<"u">, x = input<"x">, z = input<"z">;
  static constexpr projection inputs[] = {{"x", affine<"in_proj.weight[x]", "in_proj.bias[x]">(u).e},
                                          {"z", affine<"in_proj.weight[z]", "in_proj.bias[z]">(u).e}};
  static constexpr auto c = let<"c">(conv<"conv1d.weight", "conv1d.bias">(x)), v = let<"v">(silu(c));
  static constexpr auto s6 = [] {
    auto low = normalised<Falcon, "control_eps">(linear<"x_proj.weight[dt]", rank>(v));
    auto dt = let<"Delta">(softplus(affine<"dt_proj.weight", "dt_proj.bias">(low)));
    auto A = let<"A">(-exp(param<"A_log", chan | state>));
    auto B = let<"B">(normalised<Falcon, "control_eps">(linear<"x_proj.weight[B]", state>(v)));
    auto C = let<"C">(normalised<Falcon, "control_eps">(linear<"x_proj.weight[C]", state>(v)));
    return unrolled(decay(exp(dt * A)), write(dt * B), read(C));
  }();
  static constexpr auto skip = diag(param<"D">);
  static constexpr auto attention = gate(silu(z)) * ((s6 + skip) * v);
  static constexpr auto output = affine<"out_proj.weight", "out_proj.bias">(input<"y">);
  static constexpr printed_form printed{"Eq. 9", (gate(silu(z)) * s6 * diag(sigmoid(c)) * fir<"conv1d.weight">).e,
                                        "Eq. 9 has no skip Diag(D), which every implementation adds inside the gate, "
                                        "and loses the filter's bias of Eq. 8."};
};
using mamba = mamba_with<false>;
using falcon_mamba = mamba_with<true>;

}  // namespace alphaform::architectures

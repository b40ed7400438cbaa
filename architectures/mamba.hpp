// Mamba, the selective state space layer S6: h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t u_t, y_t = C_t h_t + D u_t,
// gated by SiLU(z), with u = SiLU(Conv x + b). Gu and Dao 2023, Algorithm 2; the paper's Eq. 4 to 9. The paper's Eq. 9
// drops the skip D and the filter's bias b: H here has the skip, and the bias makes the remainder r.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct mamba final {
  static constexpr heading about{
      "mamba", "Mamba (S6)", "paper Eq. 4-9; Gu and Dao 2023",
      "A recurrence per channel with a state, whose step size, write and read depend on the token."};
  static constexpr auto u = input<"u">, x = input<"x">, z = input<"z">;
  static constexpr projection inputs[] = {{"x", (linear<"in_proj.weight[x]">(u) + param<"in_proj.bias[x]">).e},
                                          {"z", (linear<"in_proj.weight[z]">(u) + param<"in_proj.bias[z]">).e}};
  static constexpr auto c = let<"c">(conv<"conv1d.weight", "conv1d.bias">(x)), v = let<"v">(silu(c));
  static constexpr auto s6 = [] {
    auto low = linear<"x_proj.weight[dt]", rank>(v);
    auto dt = let<"Delta">(softplus(linear<"dt_proj.weight">(low) + param<"dt_proj.bias">));
    auto A = let<"A">(-exp(param<"A_log", chan | state>));
    auto B = let<"B">(linear<"x_proj.weight[B]", state>(v)), C = let<"C">(linear<"x_proj.weight[C]", state>(v));
    return unrolled(decay(exp(dt * A)), write(dt * B), read(C));
  }();
  static constexpr auto skip = diag(param<"D">);
  static constexpr auto attention = gate(silu(z)) * ((s6 + skip) * v);
  static constexpr auto output = linear<"out_proj.weight">(input<"y">) + param<"out_proj.bias">;
  static constexpr printed_form printed{"Eq. 9", (gate(silu(z)) * s6 * diag(sigmoid(c)) * fir<"conv1d.weight">).e,
                                        "Eq. 9 has no skip Diag(D), which every implementation adds inside the gate, "
                                        "and loses the filter's bias of Eq. 8."};
};

}  // namespace alphaform::architectures

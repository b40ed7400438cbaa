// HGRN as its released models have it: h_t = f_t h_{t-1} + (1 - f_t) SiLU(z_t) per channel, f = l + (1 - l) sigma(W u)
// with a lower bound l that grows from layer to layer, divided by the root mean square of all channels and gated by
// SiLU. Qin et al. 2023; the paper's Eq. 25 to 29 describe its preliminary form, without lower bound, norm and output
// projection, and call sigma of the raw input what is the gate of SiLU after the projection. Here 1 - f is
// (1 - l) sigma(-W u), which loses no digits.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct hgrn final {
  static constexpr heading about{"hgrn", "HGRN", "paper Eq. 25-29; Qin et al. 2023",
                                 "A recurrence per channel whose decay depends on the token and has a lower bound."};
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"i_proj.weight", "i_proj.bias">(u).e},
                                          {"f", affine<"f_proj.weight", "f_proj.bias">(u).e},
                                          {"g", affine<"g_proj.weight", "g_proj.bias">(u).e}};
  static constexpr auto z = let<"z">(conv<"i_conv1d.weight", "i_conv1d.bias">(input<"x">));
  static constexpr auto core = [] {
    auto f = conv<"f_conv1d.weight", "f_conv1d.bias">(input<"f">);
    auto l = param<"lower_bound">, rest = complement(l);
    return scan(l + rest * sigmoid(f)) * diag(rest * sigmoid(-f));
  }();
  static constexpr auto attention = gate(silu(input<"g">)) * norm<"g_norm.weight", "eps">(core * silu(z));
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
  static constexpr printed_form printed{"Eq. 29", (gate(silu(input<"g">)) * core * diag(sigmoid(z))).e,
                                        "Eq. 29 has no norm, which every released model has."};
};

}  // namespace alphaform::architectures

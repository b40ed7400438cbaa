// HGRN2: HGRN with a matrix as state. S_t = diag(f_t) S_{t-1} + (1 - f_t) v_t', o_t = S_t' q_t / sqrt(d), with q =
// SiLU(W u) and a lower bound of f as in HGRN; divided by the root mean square of all channels of all heads. Qin et al.
// 2024, Eq. 9 to 11, as flash-linear-attention has it.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct hgrn2 final {
  static constexpr heading about{"hgrn2", "HGRN2", "Qin et al. 2024, Eq. 9-11",
                                 "A recurrence per head with a matrix as state, whose write is one minus its decay."};
  static constexpr axes wide = head | chan, keys = head | state;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"i_proj.weight", "i_proj.bias", wide>(u).e},
                                          {"q", affine<"q_proj.weight", "q_proj.bias", keys>(u).e},
                                          {"f", affine<"f_proj.weight", "f_proj.bias", keys>(u).e}};
  static constexpr auto v = conv<"i_conv1d.weight", "i_conv1d.bias">(input<"x", wide>);
  static constexpr auto core = [] {
    auto q = silu(conv<"q_conv1d.weight", "q_conv1d.bias">(input<"q", keys>));
    auto f = conv<"f_conv1d.weight", "f_conv1d.bias">(input<"f", keys>);
    auto l = param<"lower_bound", keys>, rest = complement(l);
    return unrolled(decay(l + rest * sigmoid(f)), write(rest * sigmoid(-f)), read(scaled(q)));
  }();
  static constexpr auto attention = norm<"g_norm.weight", "eps">(core * v);
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};

}  // namespace alphaform::architectures

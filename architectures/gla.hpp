// Gated linear attention: S_t = diag(a_t) S_{t-1} + k_t v_t', o_t = S_t' q_t / sqrt(d), with a decay for every key
// channel, log a_t = log sigma(g_t) / 16 from a low-rank projection; each head is divided by its root mean square and
// gated by SiLU. Yang et al. 2024, Eq. 3 and Sec. 4.4; named in the paper's Sec. 2.
#pragma once
#include <alphaform/architectures/parts.hpp>

namespace alphaform::architectures {

template <bool ShortConv = false, bool Gated = true>
struct gla_with final {
  static constexpr heading about{"gla", "Gated linear attention", "Yang et al. 2024, Eq. 3",
                                 "A recurrence per head with a matrix as state and a decay per key channel and token."};
  static constexpr axes wide = group | head | chan, queries = group | head | state, keys = group | state;
  static constexpr auto u = input<"u">;
  static constexpr projection all[] = {
      {"x", (expand<head> * affine<"v_proj.weight", "v_proj.bias", group | chan>(u)).e},
      {"q", affine<"q_proj.weight", "q_proj.bias", queries>(u).e},
      {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e},
      {"a", affine<"gk_proj.1.weight", "gk_proj.1.bias", keys>(linear<"gk_proj.0.weight", rank>(u)).e},
      {"g", affine<"g_proj.weight", "g_proj.bias", wide>(u).e}};
  static constexpr auto inputs = inputs_of(all, Gated);
  static constexpr auto v = filtered<ShortConv, "v_conv1d.weight", "v_conv1d.bias", group | chan>(input<"x", wide>);
  static constexpr auto core = [] {
    auto q = filtered<ShortConv, "q_conv1d.weight", "q_conv1d.bias", queries>(input<"q", queries>);
    auto k = filtered<ShortConv, "k_conv1d.weight", "k_conv1d.bias", keys>(input<"k", keys>);
    auto log_a = param<"gate_scale", no_axes> * log_sigmoid(input<"a", keys>);
    return unrolled(decay(exp(max(log_a, param<"log_decay_min", no_axes>))), write(k), read(scaled(q)));
  }();
  static constexpr auto attention = gated<Gated, "g">(norm_over<"g_norm.weight", "eps">(core * v));
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};
using gla = gla_with<>;

}  // namespace alphaform::architectures

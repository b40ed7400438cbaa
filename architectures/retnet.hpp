// RetNet's multi-scale retention: S_t = gamma S_{t-1} + k_t v_t', o_t = S_t' q_t / sqrt(d), with rotated q and k and
// one fixed decay gamma_h = 1 - 2^(-5-h) a head; each head is divided by its root mean square and gated by SiLU. Sun et
// al. 2023, Eq. 5 to 8; the paper's Eq. 22 to 24. The paper writes GroupNorm (which subtracts the mean),
// implementations use RMSNorm; Eq. 23 drops the output projection and Eq. 24 the value projection.
#pragma once
#include <alphaform/architectures/parts.hpp>

namespace alphaform::architectures {

template <bool ShortConv = false, bool Gated = true>
struct retnet_with final {
  static constexpr heading about{"retnet", "RetNet", "paper Eq. 22-24; Sun et al. 2023",
                                 "A recurrence per head with a matrix as state and a fixed decay."};
  static constexpr axes wide = group | head | chan, heads = group | head, queries = heads | state, keys = group | state;
  static constexpr auto u = input<"u">;
  static constexpr projection all[] = {
      {"x", (expand<head> * affine<"v_proj.weight", "v_proj.bias", group | chan>(u)).e},
      {"q", affine<"q_proj.weight", "q_proj.bias", queries>(u).e},
      {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e},
      {"g", affine<"g_proj.weight", "g_proj.bias", wide>(u).e}};
  static constexpr auto inputs = inputs_of(all, Gated);
  static constexpr auto v = filtered<ShortConv, "v_conv1d.weight", "v_conv1d.bias", group | chan>(input<"x", wide>);
  static constexpr auto retention = [] {
    auto q = filtered<ShortConv, "q_conv1d.weight", "q_conv1d.bias", queries>(input<"q", queries>);
    auto k = filtered<ShortConv, "k_conv1d.weight", "k_conv1d.bias", keys>(input<"k", keys>);
    return unrolled(decay(param<"gamma", heads>), write(rotary<"frequencies">(k)),
                    read(scaled(rotary<"frequencies">(q))));
  }();
  static constexpr auto attention = gated<Gated, "g">(norm_over<"g_norm.weight", "eps">(retention * v));
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};
using retnet = retnet_with<>;

}  // namespace alphaform::architectures

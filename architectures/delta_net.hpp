// DeltaNet: the state S predicts v_t from k_t and is corrected by what it misses, S_t = (I - beta_t k_t k_t') S_{t-1} +
// beta_t k_t v_t', o_t = S_t' q_t / sqrt(d). q, k and v pass a filter and SiLU; q and k have length 1; each head is
// divided by its root mean square. Schlag et al. 2021, Eq. 24; Yang et al. 2024b, Eq. 3.
#pragma once
#include <alphaform/architectures/parts.hpp>

namespace alphaform::architectures {

/// q, k, v and beta of a delta layer: value heads that share q and k are the heads of a group.
struct delta_inputs final {
  static constexpr axes wide = group | head | chan, heads = group | head, keys = group | state;
  static constexpr auto v = silu(conv<"v_conv1d.weight", "v_conv1d.bias">(input<"x", wide>));
  static constexpr auto q =
      l2_normalised<"l2_eps", "l2_floor">(silu(conv<"q_conv1d.weight", "q_conv1d.bias">(input<"q", keys>)));
  static constexpr auto k =
      let<"k">(l2_normalised<"l2_eps", "l2_floor">(silu(conv<"k_conv1d.weight", "k_conv1d.bias">(input<"k", keys>))));
  static constexpr auto beta = let<"beta">(param<"beta_max", no_axes> * sigmoid(input<"b", heads>));
  /// I - beta k k', on the state of every value head.
  static constexpr auto correction = id - outer(beta * k, widen<heads | state>(k));
};

template <bool Gated = false>
struct delta_net_with final {
  static constexpr heading about{"delta_net", "DeltaNet", "Schlag et al. 2021, Eq. 24; Yang et al. 2024",
                                 "A recurrence per head whose state is corrected along the current key."};
  static constexpr axes wide = delta_inputs::wide, keys = delta_inputs::keys;
  static constexpr auto u = input<"u">;
  static constexpr projection all[] = {{"x", affine<"v_proj.weight", "v_proj.bias", wide>(u).e},
                                       {"q", affine<"q_proj.weight", "q_proj.bias", keys>(u).e},
                                       {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e},
                                       {"b", affine<"b_proj.weight", "b_proj.bias", group | head>(u).e},
                                       {"g", affine<"g_proj.weight", "g_proj.bias", wide>(u).e}};
  static constexpr auto inputs = inputs_of(all, Gated);
  static constexpr auto core =
      unrolled(delta_inputs::correction, write(delta_inputs::beta* delta_inputs::k), read(scaled(delta_inputs::q)));
  static constexpr auto attention = gated<Gated, "g">(norm_over<"o_norm.weight", "eps">(core * delta_inputs::v));
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};
using delta_net = delta_net_with<>;

}  // namespace alphaform::architectures

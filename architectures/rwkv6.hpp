// RWKV-6 (Finch): RWKV-5 whose decay depends on the token, w_t = exp(-exp(d + W2 tanh(W1 x_t))), and whose token shift
// does too: every input of the layer is u_t + (u_{t-1} - u_t) m_t with m from a low-rank projection. Peng et al. 2024,
// Eq. 11 to 15 and 18 to 20.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct rwkv6 final {
  static constexpr heading about{"rwkv6", "RWKV-6 (Finch)", "Peng et al. 2024, Eq. 11-20",
                                 "A recurrence per head with a matrix as state, whose decay depends on the token."};
  static constexpr axes wide = head | chan, keys = head | state;
  static constexpr auto u = input<"u">;
  /// u, mixed with the token before by a share that depends on both.
  template <name First, name Second, name Base>
  static constexpr auto shifted = lerp(u, param<Base> +
                                              linear<Second>(tanh(linear<First, rank>(lerp(u, param<"maa_x">)))));
  static constexpr projection inputs[] = {
      {"x", linear<"value.weight", wide>(shifted<"maa_w1[v]", "maa_w2[v]", "maa_v">).e},
      {"k", linear<"key.weight", keys>(shifted<"maa_w1[k]", "maa_w2[k]", "maa_k">).e},
      {"r", linear<"receptance.weight", keys>(shifted<"maa_w1[r]", "maa_w2[r]", "maa_r">).e},
      {"g", linear<"gate.weight", wide>(shifted<"maa_w1[g]", "maa_w2[g]", "maa_g">).e},
      {"w", affine<"decay_w2", "time_decay", keys>(
                tanh(linear<"decay_w1", rank>(shifted<"maa_w1[w]", "maa_w2[w]", "maa_w">)))
                .e}};
  static constexpr auto core = unrolled(decay(let<"w">(exp(-exp(input<"w", keys>)))), write(input<"k", keys>),
                                        read(input<"r", keys>), bonus(param<"time_faaaa", keys>));
  static constexpr auto attention =
      gate(silu(input<"g", wide>)) *
      (group_norm<"ln_x.weight", "eps">(core * input<"x", wide>) + param<"ln_x.bias", wide>);
  static constexpr auto output = linear<"output.weight">(input<"y">);
};

}  // namespace alphaform::architectures

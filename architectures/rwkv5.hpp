// RWKV-5 (Eagle): per head a matrix as state with a fixed decay per key channel, read before the current token is
// written and with a bonus u for it: y_t = r_t' (S_{t-1} + diag(u) k_t v_t'), S_t = diag(w) S_{t-1} + k_t v_t', w =
// exp(-exp(d)); GroupNorm of the heads, gated by SiLU. Peng et al. 2024, Eq. 16 to 20; the paper names it beside
// RWKV-4. Version 5.1 has no gate, and one decay and bonus a head.
#pragma once
#include <alphaform/architectures/parts.hpp>

namespace alphaform::architectures {

template <bool Gated = true>
struct rwkv5_with final {
  static constexpr heading about{"rwkv5", "RWKV-5 (Eagle)", "Peng et al. 2024, Eq. 16-20",
                                 "A recurrence per head with a matrix as state, a fixed decay and a bonus."};
  static constexpr axes wide = head | chan, keys = head | state;
  static constexpr auto u = input<"u">;
  static constexpr projection all[] = {{"x", linear<"value.weight", wide>(shift<"time_mix_v">(u)).e},
                                       {"k", linear<"key.weight", keys>(shift<"time_mix_k">(u)).e},
                                       {"r", linear<"receptance.weight", keys>(shift<"time_mix_r">(u)).e},
                                       {"g", linear<"gate.weight", wide>(shift<"time_mix_g">(u)).e}};
  static constexpr auto inputs = inputs_of(all, Gated);
  static constexpr auto core = unrolled(decay(exp(-exp(param<"time_decay", keys>))), write(input<"k", keys>),
                                        read(input<"r", keys>), bonus(param<"time_faaaa", keys>));
  static constexpr auto attention =
      gated<Gated, "g">(group_norm<"ln_x.weight", "eps">(core * input<"x", wide>) + param<"ln_x.bias", wide>);
  static constexpr auto output = linear<"output.weight">(input<"y">);
};
using rwkv5 = rwkv5_with<>;
using rwkv5_1 = rwkv5_with<false>;

}  // namespace alphaform::architectures

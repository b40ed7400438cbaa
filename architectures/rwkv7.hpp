// RWKV-7 (Goose): a generalised delta rule, S_t = (diag(w_t) - (a_t kk_t) kk_t') S_{t-1} + k_t v_t', y_t = S_t' r_t,
// with log w = -e^{-1/2} sigma(...), a removal key kk of length 1, its rate a, and values v mixed with those of the
// first layer by nu; GroupNorm of the heads, plus a bonus (sum_n r k r_k) v after it, times a gate. Peng et al. 2025,
// Eq. 4 to
// 19. In the first layer v is its own.
#pragma once
#include <alphaform/architectures/parts.hpp>

namespace alphaform::architectures {

template <bool First = false>
struct rwkv7_with final {
  static constexpr heading about{"rwkv7", "RWKV-7 (Goose)", "Peng et al. 2025, Eq. 4-19",
                                 "A recurrence per head whose state decays and forgets along a removal key."};
  static constexpr axes wide = head | chan, keys = head | state;
  static constexpr auto u = input<"u">;
  static constexpr projection all[] = {
      {"x", linear<"value.weight", wide>(lerp(u, param<"x_v">)).e},
      {"k", linear<"key.weight", keys>(lerp(u, param<"x_k">)).e},
      {"r", linear<"receptance.weight", keys>(lerp(u, param<"x_r">)).e},
      {"w", affine<"w2", "w0", keys>(tanh(linear<"w1", rank>(lerp(u, param<"x_w">)))).e},
      {"a", affine<"a2", "a0", keys>(linear<"a1", rank>(lerp(u, param<"x_a">))).e},
      {"g", linear<"g2", wide>(sigmoid(linear<"g1", rank>(lerp(u, param<"x_g">)))).e},
      {"n", affine<"v2", "v0", wide>(linear<"v1", rank>(lerp(u, param<"x_v">))).e}};
  static constexpr auto inputs = inputs_of(all, !First);
  static constexpr shared_input others[] = {{"v_first", "x"}};
  static constexpr std::span<const shared_input> shared{others, First ? 0u : 1u};
  static constexpr auto v = [] {
    auto own = input<"x", wide>;
    auto nu = let<"nu">(sigmoid(input<"n", wide>));
    if constexpr (First)
      return own;
    else
      return let<"v">(gate(complement(nu)) * own + nu * input<"v_first", wide>);
  }();
  static constexpr auto r = input<"r", keys>;
  static constexpr auto a = let<"a">(sigmoid(input<"a", keys>));
  static constexpr auto k =
      let<"k">(input<"k", keys> * (widen<keys>(number<"1">) + (a - widen<keys>(number<"1">)) * param<"k_a", keys>));
  static constexpr auto core = [] {
    auto w = let<"w">(exp(number<"-0.6065306597126334"> * sigmoid(input<"w", keys>)));  // e^{-1/2}
    auto kk = let<"kk">(l2_normalised<"l2_eps", "l2_floor">(input<"k", keys> * param<"k_k", keys>));
    return unrolled(diag(w) - outer(kk * a, kk), write(k), read(r));
  }();
  static constexpr auto bonus = diag(contract<state> * (r * k * param<"r_k", keys>));
  static constexpr auto attention =
      gate(input<"g", wide>) * (group_norm<"ln_x.weight", "eps">(core * v) + param<"ln_x.bias", wide> + bonus * v);
  static constexpr auto output = affine<"output.weight", "output.bias">(input<"y">);
};
using rwkv7 = rwkv7_with<>;
using rwkv7_first = rwkv7_with<true>;

}  // namespace alphaform::architectures

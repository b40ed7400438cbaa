// Kimi Delta Attention: Gated DeltaNet with a decay for every key channel, applied before the delta rule, S_t = (I -
// beta_t k_t k_t') diag(a_t) S_{t-1} + beta_t k_t v_t', log a_t = -exp(A_log) softplus(W u + b) with a low-rank W; the
// output gate is sigma of another low-rank projection. Kimi Team 2025, Eq. 1 and Sec. 4. With a lower bound, log a_t =
// bound sigma(exp(A_log) (W u + b)).
#pragma once
#include <alphaform/architectures/delta_net.hpp>

namespace alphaform::architectures {

template <bool Bounded = false>
struct kda_with final {
  static constexpr heading about{"kda", "Kimi Delta Attention", "Kimi Team 2025, Eq. 1",
                                 "A delta rule per head whose state decays by key channel and token."};
  static constexpr axes wide = delta_inputs::wide, keys = delta_inputs::keys, heads = delta_inputs::heads;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {
      {"x", affine<"v_proj.weight", "v_proj.bias", wide>(u).e},
      {"q", affine<"q_proj.weight", "q_proj.bias", keys>(u).e},
      {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e},
      {"b", affine<"b_proj.weight", "b_proj.bias", heads>(u).e},
      {"a", linear<"f_proj.1.weight", heads | state>(linear<"f_proj.0.weight", rank>(u)).e},
      {"g", affine<"g_proj.1.weight", "g_proj.1.bias", wide>(linear<"g_proj.0.weight", rank>(u)).e}};
  static constexpr auto core = [] {
    auto step = input<"a", heads | state> + param<"dt_bias", heads | state>;
    auto rate = exp(param<"A_log", heads>);
    auto log_a = [&] {
      if constexpr (Bounded)
        return param<"lower_bound", no_axes> * sigmoid(rate * step);
      else
        return -rate * softplus(step);
    }();
    return unrolled(delta_inputs::correction * diag(let<"a">(exp(log_a))), write(delta_inputs::beta * delta_inputs::k),
                    read(scaled(delta_inputs::q)));
  }();
  static constexpr auto attention =
      gate(sigmoid(input<"g", wide>)) * norm_over<"o_norm.weight", "eps">(core * delta_inputs::v);
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};
using kda = kda_with<>;

}  // namespace alphaform::architectures

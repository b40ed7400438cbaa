// Gated DeltaNet: the delta rule on a state that decays by one number a head and token, S_t = e^{g_t} (I - beta_t k_t
// k_t') S_{t-1} + beta_t k_t v_t', g_t = -exp(A_log) softplus(W u + b). Value heads may share q and k. Yang et al.
// 2025, Eq. 10.
#pragma once
#include <alphaform/architectures/delta_net.hpp>

namespace alphaform::architectures {

template <bool Gated = true>
struct gated_delta_net_with final {
  static constexpr heading about{"gated_delta_net", "Gated DeltaNet", "Yang et al. 2025, Eq. 10",
                                 "A delta rule per head whose state also decays, by one number a token."};
  static constexpr axes wide = delta_inputs::wide, keys = delta_inputs::keys, heads = delta_inputs::heads;
  static constexpr auto u = input<"u">;
  static constexpr projection all[] = {{"x", affine<"v_proj.weight", "v_proj.bias", wide>(u).e},
                                       {"q", affine<"q_proj.weight", "q_proj.bias", keys>(u).e},
                                       {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e},
                                       {"b", affine<"b_proj.weight", "b_proj.bias", heads>(u).e},
                                       {"a", affine<"a_proj.weight", "a_proj.bias", heads>(u).e},
                                       {"g", affine<"g_proj.weight", "g_proj.bias", wide>(u).e}};
  static constexpr auto inputs = inputs_of(all, Gated);
  static constexpr auto core = [] {
    auto step = softplus(input<"a", heads> + param<"dt_bias", heads>);
    auto a = let<"a">(exp(-exp(param<"A_log", heads>) * step));
    return unrolled(diag(a) * delta_inputs::correction, write(delta_inputs::beta * delta_inputs::k),
                    read(scaled(delta_inputs::q)));
  }();
  static constexpr auto attention = gated<Gated, "g">(norm_over<"o_norm.weight", "eps">(core * delta_inputs::v));
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
};
using gated_delta_net = gated_delta_net_with<>;

}  // namespace alphaform::architectures

// The recurrent block of Griffin and Hawk, RG-LRU: h_t = a_t h_{t-1} + sqrt(1 - a_t^2) i_t v_t with v = Conv x + b,
// log a_t = -8 r_t softplus(p), and gates r, i = sigma(W v + b) whose matrices are block-diagonal; gated by GELU. De et
// al. 2024, Sec. 2.4; the paper's Eq. 12 to 17. At the first token the factor of i is 1 in both implementations, where
// Eq. 16 has the square root; Eq. 15 does not say that r and i are computed from the filter's output, and Eq. 12 to 14
// drop its bias. Hawk has this block in every layer; Griffin alternates it with local softmax attention.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

template <bool Hawk>
struct rg_lru final {
  static constexpr heading about{Hawk ? "hawk" : "griffin", Hawk ? "Hawk (RG-LRU)" : "Griffin (RG-LRU)",
                                 "paper Eq. 12-17; De et al. 2024",
                                 "A recurrence per channel whose decay and write depend on the token."};
  static constexpr axes wide = head | chan;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"linear_x.weight", "linear_x.bias", wide>(u).e},
                                          {"g", affine<"linear_y.weight", "linear_y.bias", wide>(u).e}};
  static constexpr auto v = let<"v">(conv<"conv_1d.weight", "conv_1d.bias">(input<"x", wide>));
  template <name Weight, name Bias>
  static constexpr auto block_gate = sigmoid(mix<Weight, chan, chan, head>* v + param<Bias, wide>);
  static constexpr auto lru = [] {
    auto r = block_gate<"rg_lru.recurrent_gate_weight", "rg_lru.recurrent_gate_bias">;
    auto i = block_gate<"rg_lru.input_gate_weight", "rg_lru.input_gate_bias">;
    auto log_a = let<"l">(number<"-8"> * (r * softplus(param<"rg_lru.recurrent_param", wide>)));
    auto norm = sqrt(-expm1(number<"2"> * log_a));
    auto m = let<"m">(widen<wide>(first_token) + complement(first_token) * norm);
    return scan(exp(log_a)) * diag(m * i);
  }();
  static constexpr auto attention = gate(gelu(input<"g", wide>)) * (lru * v);
  static constexpr auto output = affine<"linear_out.weight", "linear_out.bias">(input<"y">);
  static constexpr printed_form printed{
      "Eq. 17", (gate(gelu(input<"g", wide>)) * lru * fir<"conv_1d.weight", wide>).e,
      "Eq. 17 loses the bias of the filter. Its Eq. 16 has sqrt(1 - a^2) at the first token too; here, as in every "
      "implementation, that factor is 1."};
};
using griffin = rg_lru<false>;
using hawk = rg_lru<true>;

}  // namespace alphaform::architectures

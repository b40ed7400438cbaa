// The linear recurrent unit: h_t = Lambda h_{t-1} + exp(gamma) B u_t, y_t = Re(C h_t) + D u_t with a complex diagonal
// Lambda = exp(-exp(nu) + i exp(theta)) and complex matrices B, C, the same for every token; then GELU and a gated
// linear unit. Orvieto et al. 2023, Eq. 7 and App. A. H is a tensor: it mixes channels, and nothing in it depends on
// the text.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/architectures/complex_numbers.hpp>

namespace alphaform::architectures {

struct lru final {
  static constexpr heading about{"lru", "LRU", "Orvieto et al. 2023, Eq. 7",
                                 "A complex recurrence over one state for all channels, the same for every token."};
  static constexpr projection inputs[] = {{"x", input<"u">.e}};
  static constexpr auto core = [] {
    auto lambda = rotate(exp(-exp(param<"nu_log", state>)), exp(param<"theta_log", state>));
    auto B = diag(exp(param<"gamma_log", state>)) * complex_mix<"B_re", "B_im", state, chan>;
    return real * complex_mix<"C_re", "C_im", chan, state> * scan(lambda) * B * embed;
  }();
  static constexpr auto attention = (core + diag(param<"D">)) * input<"x">;
  static constexpr auto output = [] {
    auto g = gelu(input<"y">);
    return affine<"out1.weight", "out1.bias">(g) * sigmoid(affine<"out2.weight", "out2.bias">(g));
  }();
};

}  // namespace alphaform::architectures

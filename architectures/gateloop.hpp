// GateLoop: S_t = a_t S_{t-1} + k_t v_t', y_t = q_t' Re(S_t) with a complex decay a head and token, a = sigma(|z|) z /
// |z| for a complex projection z of u; gated by SiLU. Katsch 2023, Eq. 7 to 9. The author's published code is another,
// real model: a gated linear RNN with tanh on both sides. Where z is exactly 0 it has no direction: a is 0 there.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct gateloop final {
  static constexpr heading about{"gateloop", "GateLoop", "Katsch 2023, Eq. 7-9",
                                 "A complex recurrence per head whose decay and rotation depend on the token."};
  static constexpr axes wide = head | chan, keys = head | state, complex = head | part;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", linear<"v_proj.weight", wide>(u).e},
                                          {"q", linear<"q_proj.weight", keys>(u).e},
                                          {"k", linear<"k_proj.weight", keys>(u).e},
                                          {"a", affine<"a_proj.weight", "a_proj.bias", complex>(u).e},
                                          {"g", linear<"g_proj.weight", wide>(u).e}};
  static constexpr auto core = [] {
    auto z = input<"a", complex>;
    auto size = sqrt(max(contract<part> * square(z), number<"1e-30">));
    auto a = let<"a">(sigmoid(size) * reciprocal(size) * z);
    auto transition = diag(real * a) - diag(real * (turn * a)) * turn;  // Re a + i Im a
    return contract<state> *
           (diag(input<"q", keys>) * (real * scan(transition) * embed * (diag(input<"k", keys>) * expand<state>)));
  }();
  static constexpr auto attention = gate(silu(input<"g", wide>)) * (core * input<"x", wide>);
  static constexpr auto output = linear<"o_proj.weight">(input<"y">);
};

}  // namespace alphaform::architectures

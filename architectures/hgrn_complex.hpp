// HGRN as first published, a complex recurrence per channel: h_t = f_t e^{i theta} h_{t-1} + (1 - f_t) c_t with a
// complex input c = SiLU(W u), a learned angle theta and a decay f = l + (1 - l) sigma(W u) with a lower bound l. Real
// and imaginary part are normalised together (LayerNorm) and gated by SiLU. Qin et al. 2023, Eq. 3 to 7. The paper's
// Eq. 25 to 29 leave the complex part out.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct hgrn_complex final {
  static constexpr heading about{"hgrn_complex", "HGRN, complex", "paper Eq. 25-29; Qin et al. 2023, Eq. 3-7",
                                 "A complex recurrence per channel whose decay depends on the token."};
  static constexpr axes wide = chan | part;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"input_proj.weight", "input_proj.bias", wide>(u).e},
                                          {"f", affine<"lambda_proj.weight", "lambda_proj.bias">(u).e},
                                          {"g", affine<"gate_proj.weight", "gate_proj.bias", wide>(u).e}};
  static constexpr auto core = [] {
    auto l = param<"lower_bound">, rest = complement(l);
    auto f = l + rest * sigmoid(input<"f">);
    return scan(rotate(f, param<"theta">)) * diag(rest * sigmoid(-input<"f">));
  }();
  static constexpr auto h = core * silu(input<"x", wide>);
  static constexpr auto attention = gate(silu(input<"g", wide>)) * norm<"norm.weight", "norm.bias", "eps">(h);
  static constexpr auto output = affine<"out_proj.weight", "out_proj.bias">(input<"y">);
};

}  // namespace alphaform::architectures

// Vim, Mamba in both directions: a second set of filter, step, write and read runs over the tokens from last to first,
// and both results are added (and halved) inside one gate. Zhu et al. 2024, Algorithm 1; the paper's Sec. 2 and 4. The
// paper's code adds the two class-token rows without the half that the released models have.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct vim final {
  static constexpr heading about{"vim", "Vim (bidirectional Mamba)", "paper Sec. 2; Zhu et al. 2024",
                                 "Two recurrences per channel, one over the tokens from first to last, one back."};
  static constexpr auto u = input<"u">, x = input<"x">, z = input<"z">;
  static constexpr projection inputs[] = {{"x", affine<"in_proj.weight[x]", "in_proj.bias[x]">(u).e},
                                          {"z", affine<"in_proj.weight[z]", "in_proj.bias[z]">(u).e}};
  template <name Taps, name Bias, name Low, name Write, name Read, name Step, name StepBias, name Decay, name Skip>
  static constexpr auto s6 = [](const stream<chan>& s) {
    auto v = silu(conv<Taps, Bias>(s));
    auto dt = softplus(affine<Step, StepBias>(linear<Low, rank>(v)));
    auto B = linear<Write, state>(v), C = linear<Read, state>(v);
    auto core = unrolled(decay(exp(dt * -exp(param<Decay, chan | state>))), write(dt * B), read(C));
    return (core + diag(param<Skip>)) * v;
  };
  static constexpr auto forward = s6<"conv1d.weight", "conv1d.bias", "x_proj.weight[dt]", "x_proj.weight[B]",
                                     "x_proj.weight[C]", "dt_proj.weight", "dt_proj.bias", "A_log", "D">(x);
  static constexpr auto backward =
      s6<"conv1d_b.weight", "conv1d_b.bias", "x_proj_b.weight[dt]", "x_proj_b.weight[B]", "x_proj_b.weight[C]",
         "dt_proj_b.weight", "dt_proj_b.bias", "A_b_log", "D_b">(reverse * x);
  static constexpr auto attention = gate(silu(z)) * (diag(param<"share", no_axes>) * (forward + reverse * backward));
  static constexpr auto output = affine<"out_proj.weight", "out_proj.bias">(input<"y">);
};

}  // namespace alphaform::architectures

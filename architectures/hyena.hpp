// Hyena of order 2: y = x_0 (h * v + b v) with v = x_1 Conv(x), all three short-filtered projections of u, and a long
// filter h as long as the text, which a small network makes from positions: h_t = MLP(z_t) (e^{-t |delta|} + s) with
// sines as activations. The same h serves every text. Poli et al. 2023, Def. 3.1 and Sec. 3.3.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct hyena final {
  static constexpr heading about{"hyena", "Hyena", "Poli et al. 2023, Def. 3.1",
                                 "A long filter per channel, the same for every text, between two gates."};
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"in_proj.weight[v]", "in_proj.bias[v]">(u).e},
                                          {"p", affine<"in_proj.weight[x0]", "in_proj.bias[x0]">(u).e},
                                          {"q", affine<"in_proj.weight[x1]", "in_proj.bias[x1]">(u).e}};
  static constexpr auto x0 = conv<"short_filter.weight[x0]", "short_filter.bias[x0]">(input<"p">);
  static constexpr auto x1 = conv<"short_filter.weight[x1]", "short_filter.bias[x1]">(input<"q">);
  static constexpr auto v = conv<"short_filter.weight[v]", "short_filter.bias[v]">(input<"x">);
  /// Taps of the long filter from features z [K, R] and times t [K] of the lags, the largest lag first.
  static constexpr auto taps = [] {
    auto first = mix<"implicit_filter.0.weight", state, rank> * param<"pos_emb.z", tap | rank> +
                 widen<tap | state>(param<"implicit_filter.0.bias", state>);
    auto second = mix<"implicit_filter.2.weight", rank, state> * sin(param<"freq[state]", state> * first) +
                  widen<tap | rank>(param<"implicit_filter.2.bias", rank>);
    auto third = mix<"implicit_filter.4.weight", state, rank> * sin(param<"freq[rank]", rank> * second) +
                 widen<tap | state>(param<"implicit_filter.4.bias", state>);
    auto last = mix<"implicit_filter.6.weight", chan, state> * sin(param<"freq[state]", state> * third);
    auto window = exp(-param<"pos_emb.t", tap> * abs(param<"modulation.deltas">)) +
                  widen<chan | tap>(param<"modulation.shift", no_axes>);
    return last * window;
  }();
  static constexpr auto core = filter(taps) + diag(param<"filter_fn.bias">);
  static constexpr auto attention = gate(x0) * (core * (gate(x1) * v));
  static constexpr auto output = affine<"out_proj.weight", "out_proj.bias">(input<"y">);
};

}  // namespace alphaform::architectures

// Softmax attention, the baseline: y_t = sum_{s<=t} softmax_s(q_t k_s / sqrt(d)) v_s, with several heads that may share
// keys and values within a group, rotary positions, and optionally a window of tokens. Vaswani et al. 2017, Eq. 1; the
// paper's Eq. 1. H is explicit: it is the attention matrix itself, of every head.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct softmax_attention final {
  static constexpr heading about{"attention", "Softmax attention", "paper Eq. 1; Vaswani et al. 2017",
                                 "Every token weighs all tokens up to itself by the softmax of its query's products."};
  static constexpr axes wide = group | head | chan, queries = group | head | state, keys = group | state;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {
      {"x", (expand<head> * affine<"v_proj.weight", "v_proj.bias", group | chan>(u)).e},
      {"q", affine<"q_proj.weight", "q_proj.bias", queries>(u).e},
      {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e}};
  static constexpr auto q = scaled(rotary<"frequencies">(input<"q", queries>));
  static constexpr auto k = rotary<"frequencies">(input<"k", keys>);
  static constexpr auto alpha = rownorm(local_attend<"window">(q, k));
  static constexpr auto attention = alpha * input<"x", wide>;
  static constexpr auto output = affine<"o_proj.weight", "o_proj.bias">(input<"y">);
  static constexpr printed_form printed{"Eq. 1", alpha.e, "The same."};
};

}  // namespace alphaform::architectures

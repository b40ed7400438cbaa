// minLSTM: h_t = f'_t h_{t-1} + i'_t g(h~_t) with f' = f / (f + i), i' = i / (f + i), f = sigma(W u), i = sigma(W' u).
// Feng et al. 2024, Sec. 3.2. The value path starts at x = g(h~), as in minGRU.
#pragma once
#include <alphaform/architectures/mingru.hpp>

namespace alphaform::architectures {

struct minlstm final {
  static constexpr heading about{"minlstm", "minLSTM", "Feng et al. 2024, Sec. 3.2",
                                 "A recurrence per channel whose decay and write sum to one."};
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", positive(linear<"to_hidden_and_f_i_gate.weight[hidden]">(u)).e},
                                          {"f", linear<"to_hidden_and_f_i_gate.weight[f]">(u).e},
                                          {"i", linear<"to_hidden_and_f_i_gate.weight[i]">(u).e}};
  static constexpr auto attention = [] {
    auto f = sigmoid(input<"f">), i = sigmoid(input<"i">);
    auto share = let<"s">(reciprocal(f + i));
    return scan(f * share) * (diag(i * share) * input<"x">);
  }();
  static constexpr auto output = linear<"to_out.weight">(input<"y">);
};

}  // namespace alphaform::architectures

// minGRU: h_t = (1 - z_t) h_{t-1} + z_t g(h~_t) with z = sigma(W u) and h~ = W' u, where no gate reads the state. Feng
// et al. 2024, Sec. 3.1 and App. B: g(x) = x + 1/2 for x >= 0 and sigma(x) below keeps the state positive. g(x) / x has
// no limit at 0, so g is no Diag: the value path starts at x = g(h~).
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

/// x + 1/2 for x >= 0, sigma(x) below: relu(x) + sigma(-relu(-x)).
constexpr stream<chan> positive(const stream<chan>& s) { return relu(s) + sigmoid(-relu(-s)); }

struct mingru final {
  static constexpr heading about{"mingru", "minGRU", "Feng et al. 2024, Sec. 3.1",
                                 "A recurrence per channel whose write is one minus its decay."};
  static constexpr auto u = input<"u">, z = input<"z">;
  static constexpr projection inputs[] = {{"x", positive(linear<"to_hidden_and_gate.weight[hidden]">(u)).e},
                                          {"z", linear<"to_hidden_and_gate.weight[gate]">(u).e}};
  static constexpr auto attention = recur([](auto h) { return gate(sigmoid(-z)) * h + gate(sigmoid(z)) * input<"x">; });
  static constexpr auto output = linear<"to_out.weight">(input<"y">);
};

}  // namespace alphaform::architectures

// Layers with one state a channel, on long texts.
#include <alphaform/benchmarks/layer_cases.hpp>

namespace alphaform::benchmarks {

namespace {

/// Two sigmoids of block-diagonal products, exp and expm1 of the decay, and the tanh of GELU.
needs griffin_needs(const problem_sizes& s) {
  const auto T = static_cast<double>(s.tokens), C = static_cast<double>(s.channels), H = static_cast<double>(s.heads);
  return {.exponentials = 5 * T * H * C,
          .flops = 4 * T * H * C * C,
          .products = {512, std::max<std::size_t>(s.channels, 1), s.channels}};
}
/// The sigmoid of the forget gate gives its complement too; SiLU of value and gate.
needs hgrn_needs(const problem_sizes& s) {
  return {.exponentials = 3 * static_cast<double>(s.tokens) * static_cast<double>(s.channels)};
}

constexpr layer_row rows[] = {
    {"griffin", "griffin", "", {.tokens = 65536, .channels = 128, .heads = 16}, griffin_needs},
    {"hgrn", "hgrn", "", {.tokens = 65536, .channels = 2048}, hgrn_needs}};

}  // namespace

std::vector<named_case> channel_cases() { return layer_cases(rows); }

}  // namespace alphaform::benchmarks

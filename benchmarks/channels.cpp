// Layers with one state a channel, on long texts.
#include <alphaform/algebra/layers.hpp>
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

/// The recurrences of both alone, on decays and inputs that are there: of nothing but their streams.
constexpr auto log_a = input<"log_a">, f = input<"f">;
const expr rg_lru = (scan(exp(log_a)) * diag(sqrt(-expm1(number<"2"> * log_a))) * input<"x">).e;
const expr hgrn_core = (scan(f) * diag(complement(f)) * input<"x">).e;
/// exp and expm1 of the decay.
needs rg_lru_needs(const problem_sizes& s) {
  return {.exponentials = 2 * static_cast<double>(s.tokens) * static_cast<double>(s.channels)};
}
needs core_needs(const problem_sizes&) { return {}; }

const layer_row rows[] = {
    {"griffin", "griffin", "", {.tokens = 65536, .channels = 128, .heads = 16}, griffin_needs},
    {"hgrn", "hgrn", "", {.tokens = 65536, .channels = 2048}, hgrn_needs},
    {"rg-lru", "rg_lru", "", {.tokens = 65536, .channels = 2048}, rg_lru_needs, &rg_lru},
    {"hgrn-core", "hgrn_core", "", {.tokens = 65536, .channels = 2048}, core_needs, &hgrn_core},
    {"hgrn-core", "hgrn_core", "2048", {.tokens = 2048, .channels = 2048}, core_needs, &hgrn_core}};

}  // namespace

std::vector<named_case> channel_cases() { return layer_cases(rows); }

}  // namespace alphaform::benchmarks

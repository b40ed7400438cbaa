// Filters as long as the text.
#include <alphaform/benchmarks/layer_cases.hpp>
#include <cmath>

namespace alphaform::benchmarks {

namespace {

/// The network that makes the taps: three layers of sines and the window. Convolution by real Fourier transforms of
/// length 2 T, forwards for taps and values and backwards, of 5/2 n log2 n each; they are no products, but nothing else
/// has a rate to compare with.
needs hyena_needs(const problem_sizes& s) {
  const auto T = static_cast<double>(s.tokens), C = static_cast<double>(s.channels), N = static_cast<double>(s.states);
  return {.exponentials = T * (3 * N + C),
          .flops = 2 * T * (3 * N * N + N * C) + 3 * C * 2.5 * 2 * T * std::log2(2 * T),
          .products = {512, s.channels, s.states}};
}

constexpr problem_sizes layer(std::size_t tokens) {
  return {.tokens = tokens, .channels = 768, .states = 64, .ranks = 64, .taps = 3};
}
constexpr layer_row rows[] = {{"hyena", "hyena", "", layer(8192), hyena_needs},
                              {"hyena", "hyena", "16384", layer(16384), hyena_needs},
                              {"hyena", "hyena", "65536", layer(65536), hyena_needs}};

}  // namespace

std::vector<named_case> filter_cases() { return layer_cases(rows); }

}  // namespace alphaform::benchmarks

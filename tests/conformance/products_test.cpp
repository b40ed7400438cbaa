// Matrices along an axis of a stream, so large that a device takes its tensor cores for them, against their definition
// in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "../devices.hpp"

namespace alphaform::test {
namespace {

struct sizes final {
  std::size_t tokens, inputs, outputs;
};
/// Odd numbers, so that nothing is aligned; sums of one piece and of three; more tokens than are taken at a time.
constexpr sizes all_sizes[] = {{2305, 1031, 1027}, {2053, 2051, 900}, {2048, 768, 1536}, {24601, 911, 1025}};

std::vector<float> random_numbers(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> d;
  std::vector<float> v(count);
  for (float& x : v) x = d(generator);
  return v;
}

/// A stream with the numbers of a token on `fastest`, one after the other, or those of all tokens.
struct stream final {
  std::vector<float> numbers;
  view<float> v;
  stream(std::size_t tokens, std::size_t count, bool tokens_follow, unsigned seed)
      : numbers(random_numbers(tokens * count, seed)) {
    v.data = numbers.data();
    at(v.size, axis::token) = tokens, at(v.size, axis::chan) = count;
    at(v.stride, axis::token) = tokens_follow ? 1 : count;
    at(v.stride, axis::chan) = tokens_follow ? tokens : 1;
  }
  double at_token(std::size_t t, std::size_t c) const {
    return static_cast<double>(numbers[t * v.step(axis::token) + c * v.step(axis::chan)]);
  }
};

/// The largest error over some tokens, in typical entries.
double error(const kernels<float>& k, const sizes& s, bool tokens_follow, bool adjoint) {
  std::vector<float> w = random_numbers(s.inputs * s.outputs, 3);
  view<const float> weight;
  weight.data = w.data();
  at(weight.size, axis::token) = s.outputs, at(weight.size, axis::head) = s.inputs;
  at(weight.stride, axis::token) = s.inputs, at(weight.stride, axis::head) = 1;
  const std::size_t from = adjoint ? s.outputs : s.inputs, to = adjoint ? s.inputs : s.outputs;
  const stream x(s.tokens, from, tokens_follow, 5);
  stream y(s.tokens, to, tokens_follow, 7);
  (adjoint ? k.linear_adjoint : k.linear)(weight, axis::chan, axis::chan, x.v, y.v);
  double largest = 0;
  for (std::size_t t = 0; t < s.tokens; t += std::max<std::size_t>(1, s.tokens / 7))
    for (std::size_t o = 0; o < to; o += 13) {
      double sum = 0;
      for (std::size_t i = 0; i < from; ++i)
        sum += static_cast<double>(adjoint ? w[i * s.inputs + o] : w[o * s.inputs + i]) * x.at_token(t, i);
      const double apart = std::abs(y.at_token(t, o) - sum);
      largest = std::max(largest, std::isfinite(apart) ? apart : 1e30);
    }
  return largest / std::sqrt(static_cast<double>(from));
}

ON_EVERY_DEVICE("products with matrices of weights are those of float32") {
  USE_DEVICE();
  for (const sizes& s : all_sizes)
    for (const bool tokens_follow : {false, true})
      for (const bool adjoint : {false, true}) {
        if (tokens_follow && tests_cpu()) continue;  // the definition, one number at a time
        CAPTURE(s.tokens);
        CAPTURE(tokens_follow);
        CAPTURE(adjoint);
        // In parts the root of the mean square is 2e-6, and this the largest of some hundred; one TF32 product has
        // 3e-4.
        CHECK(error(*tested, s, tokens_follow, adjoint) < 2e-5);
      }
}

TEST_CASE("products of bfloat16 are of 8 bits, and sums of them of float32 <cuda>") {
  if (!cuda_device::exists()) return;
  const kernels<float>& k = staged_table::of(cuda_kernels(product_precision::bfloat16));
  for (const sizes& s : all_sizes)
    for (const bool tokens_follow : {false, true})
      for (const bool adjoint : {false, true}) {
        CAPTURE(s.tokens);
        CAPTURE(tokens_follow);
        CAPTURE(adjoint);
        const double e = error(k, s, tokens_follow, adjoint);
        CHECK(e < 2e-2);  // 2^-9 of each of two factors, in 4 or 5 standard deviations
        CHECK(e > 1e-4);  // they are rounded indeed
      }
}

}  // namespace
}  // namespace alphaform::test

// Every query gives the same bits whenever it is asked, whatever lies in the memory that it is given.
#include <doctest/doctest.h>

#include <bit>
#include <limits>
#include <vector>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

/// Leaves memory of several sizes behind that is full of NaN.
void spoil_memory(const kernels<float>& k) {
  const arena<float> memory(k);
  std::vector<tensor<float>> all;
  for (std::size_t numbers = 64; numbers <= std::size_t{1} << 22; numbers *= 4)
    for (int times = 0; times < 4; ++times)
      all.push_back(memory.filled(stream_extents(numbers, 1), std::numeric_limits<float>::quiet_NaN()));
}

/// The answers to some queries, one after the other. Bits are compared: -0 is not 0.
std::vector<std::uint32_t> answers(const test::random_mixer& m, const kernels<float>& k) {
  spoil_memory(k);
  auto h = m.on(k);
  std::vector<std::uint32_t> all;
  const auto keep = [&](const tensor<float>& y) {
    for (const float x : numbers_of(y)) all.push_back(std::bit_cast<std::uint32_t>(x));
  };
  keep(h.output());
  keep(h.apply(h.x()));
  keep(h.adjoint(h.x()));
  if (m.formula().diagonal == absent) return all;  // the others are applied once for each token and channel
  keep(h.row(m.tokens() - 1));
  keep(h.column(0));
  keep(h.reduced_matrix(reduction::mean));
  keep(h.reduced_matrix(reduction::abs_mean));
  return all;
}

ON_EVERY_DEVICE("queries give the same bits each time they are asked") {
  USE_DEVICE();
  const kernels<float>& k = *test::tested_device;
  for (const architecture& a : registry) {
    const std::string architecture{a.name};
    CAPTURE(architecture);
    test::random_mixer m(
        a, {.tokens = 150, .heads = 2, .channels = 20, .states = 16, .ranks = 3, .taps = 4, .groups = 1}, 5);
    const std::vector<std::uint32_t> first = answers(m, k);
    for (int times = 0; times < 2; ++times) CHECK(answers(m, k) == first);
  }
}

}  // namespace
}  // namespace alphaform

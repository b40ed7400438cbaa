// Filters of what is gated by a filter's result, as SiLU behind a convolution has it: the transpose is one pass where a
// backend has one.
#include <alphaform/algebra/layers.hpp>

#include "../devices.hpp"
#include "declared.hpp"

namespace alphaform {
namespace {

using test::compare, test::declared;

constexpr axes lanes = group | chan;
constexpr auto x = input<"x", lanes>;
constexpr auto filtered = fir<"taps"> * x;
constexpr auto core = unrolled(decay(exp(softplus(input<"dt", lanes>) * -exp(param<"A", lanes | state>))),
                               write(input<"B", group | state>), read(input<"C", group | state>));

const declared forms[] = {
    {"SiLU", (diag(sigmoid(filtered)) * fir<"taps"> * x).e},
    {"SiLU of a sum with a row, behind a recurrence",
     (diag(silu(input<"z", lanes>)) * core * diag(sigmoid(filtered + param<"bias", lanes>)) * fir<"taps"> * x).e},
    {"several gates, of which one is filtered by other taps",
     (core * diag(relu(filtered)) * diag(input<"z", lanes> * tanh(fir<"others"> * input<"w", lanes>)) * fir<"taps"> * x)
         .e}};

std::vector<witness_sizes> all_sizes() {
  std::vector<witness_sizes> all;
  for (const int taps : {1, 2, 3, 4, 5})
    for (const int tokens : {1, 3, 64, 203})
      for (const auto& [groups, channels] : {std::pair{1, 5}, {2, 8}, {3, 64}})
        all.push_back({.tokens = tokens, .channels = channels, .states = 3, .taps = taps, .groups = groups});
  return all;
}

/// What the pass is, of kernels that have none.
template <class T>
void by_parts(const kernels<T>& k, const pointwise& p, std::span<const filtered_stream<T>> operands, view<const T> taps,
              view<T> y) {
  arena<T> memory(k);
  std::vector<tensor<T>> keep;
  std::vector<view<const T>> made;
  for (const filtered_stream<T>& v : operands) {
    if (v.taps.data == nullptr) {
      made.push_back(v.x);
      continue;
    }
    extents size = v.taps.size;
    at(size, axis::tap) = 1;
    made.push_back(keep.emplace_back(memory.make(together(v.x.size, size))));
    k.fir(v.taps, v.x, keep.back());
  }
  const tensor<T> gated = memory.make(y.size);
  k.evaluate(p, made, gated);
  k.fir_adjoint(taps, gated, y);
}

TEST_CASE("the transpose of a gated filter, by the definition of its pass, is what its parts are") {
  static int passes = 0;
  kernels<double> with_pass = reference_kernels();
  with_pass.gated_fir_adjoint = [](const pointwise& p, std::span<const filtered_stream<double>> operands,
                                   view<const double> taps, view<double> y) {
    ++passes;
    by_parts(reference_kernels(), p, operands, taps, y);
  };
  for (const declared& d : forms)
    for (const witness_sizes& sizes : all_sizes()) {
      passes = 0;
      compare(d, sizes, with_pass, 1e-12);
      CAPTURE(sizes.taps);
      CHECK((passes > 0) == (sizes.taps <= static_cast<int>(taps_of_a_pass)));
    }
}

ON_EVERY_DEVICE("the transpose of a gated filter is what its parts are") {
  USE_DEVICE();
  constexpr double most = 5e-6;  // of the largest entry, as of passes: some forty roundings of float32
  for (const declared& d : forms)
    for (const witness_sizes& sizes : all_sizes()) compare(d, sizes, *test::tested_device, most);
  compare(forms[1], {.tokens = 3001, .channels = 132, .states = 4, .taps = 4, .groups = 1}, *test::tested_device, most);
}

}  // namespace
}  // namespace alphaform

// Streams that a device stores as bfloat16: what is computed of them is what float32 gives of the same numbers, and
// what is computed of one is stored like it.
#include <doctest/doctest.h>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

using Eigen::MatrixXd;
using test::as_map;
using test::as_stream;

double apart(const MatrixXd& is, const MatrixXd& should) {
  return (is - should).cwiseAbs().maxCoeff() / (should.cwiseAbs().maxCoeff() + 1e-30);
}

void compare(const test::random_mixer& m, const kernels<float>& k) {
  auto h = m.on(k), rounded = m.on(k, number_format::bfloat16);
  const auto x = h.x(), narrow = rounded.x();
  CHECK(x.v.format == number_format::whole);
  REQUIRE(narrow.v.format == number_format::bfloat16);
  CHECK(as_stream(narrow) == as_stream(x));
  // A result may be a sum of two that are rounded: 2^-9 of each.
  const tensor<float> y = rounded.apply(narrow), back = rounded.adjoint(narrow);
  CHECK(y.v.format == number_format::bfloat16);
  CHECK(apart(as_stream(y), as_stream(h.apply(x))) <= 0x1p-8);
  CHECK(apart(as_stream(back), as_stream(h.adjoint(x))) <= 0x1p-8);
  // These hold no stream of bfloat16 but what they read.
  CHECK(apart(as_stream(rounded.output()), as_stream(h.output())) <= 1e-5);
  if (m.formula().diagonal == absent) return;  // the others are applied once for each token and channel
  CHECK(apart(as_stream(rounded.row(m.tokens() - 1)), as_stream(h.row(m.tokens() - 1))) <= 1e-5);
  CHECK(apart(as_map(rounded.reduced_matrix(reduction::mean)), as_map(h.reduced_matrix(reduction::mean))) <= 1e-5);
}

TEST_CASE("queries of bfloat16 streams are those of float32 streams of the same numbers, rounded <cuda>") {
  if (!test::cuda_device::exists()) return;
  for (const architecture& a : registry)
    for (const product_precision p : {product_precision::float32, product_precision::bfloat16}) {
      const std::string architecture{a.name};
      CAPTURE(architecture);
      CAPTURE(static_cast<int>(p));
      test::random_mixer m(
          a, {.tokens = 150, .heads = 2, .channels = 24, .states = 16, .ranks = 3, .taps = 4, .groups = 1}, 5);
      compare(m.with_inputs_of_bfloat16(), cuda_kernels(p));
    }
}

TEST_CASE("passes over many channels of bfloat16 streams are those of float32 streams, rounded <cuda>") {
  if (!test::cuda_device::exists()) return;
  for (const architecture& a : registry)
    for (const int channels : {520, 517}) {  // four side by side, or one by one
      if (a.name != "mamba" && a.name != "hgrn" && a.name != "griffin") continue;
      const std::string architecture{a.name};
      CAPTURE(architecture);
      CAPTURE(channels);
      test::random_mixer m(a, {.tokens = 70, .heads = 1, .channels = channels, .states = 16, .ranks = 3, .taps = 4}, 5);
      compare(m.with_inputs_of_bfloat16(), cuda_kernels());
    }
}

TEST_CASE("streams of bfloat16 are refused where there is no device") {
  CHECK_THROWS_WITH_AS(stored(std::vector<float>(6), stream_extents(2, 3), cpu_kernels(), number_format::bfloat16),
                       "a stream of bfloat16 was asked for without a CUDA device: this processor's kernels have none",
                       user_error);
}

}  // namespace
}  // namespace alphaform

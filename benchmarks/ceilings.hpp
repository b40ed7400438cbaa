// What the machine can do at most, measured beside every case with as many threads: copying between arrays that no
// cache holds, the engine's own vector exponential on numbers in the first-level cache, and single-precision matrix
// products.
#pragma once
#include <cstddef>

namespace alphaform::benchmarks {

/// y[m, n] += a[m, k] b[k, n].
struct product_size final {
  std::size_t m = 512, n = 512, k = 512;
};

/// What a job cannot do without, in whatever way it is done.
struct needs final {
  double bytes = 0;         ///< read and written
  double exponentials = 0;  ///< and other functions that cost as much
  double flops = 0;         ///< in matrix products
  product_size products{};  ///< how large these are
};

/// Each per second; 0 where nothing was measured.
struct rates final {
  double bytes = 0, exponentials = 0, flops = 0;
};

/// The rates of what is needed. @param quick  a rough number at once
rates ceilings_for(const needs&, bool quick);
/// Those of a backend with its own memory, by its own kernels on numbers that are there.
rates device_ceilings_for(const needs&, bool quick);

}  // namespace alphaform::benchmarks

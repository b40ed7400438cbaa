// The backend that only counts: the engine runs a query on it to learn, before anything is computed, how many
// operations it takes, how many bytes move, and how much memory it needs at most.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform {

/// What the counting kernels have seen since the last reset, in this thread.
struct work final {
  double flops = 0;      ///< additions, multiplications and comparisons
  double functions = 0;  ///< values of exp and functions made of it
  double bytes = 0;      ///< read and written by kernels, each operand once
};
work& counted_work();

/// Kernels without storage that add to counted_work().
template <class T>
const kernels<T>& counting_kernels();

}  // namespace alphaform

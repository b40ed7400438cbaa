// The backend that only counts: the engine runs a query on it to learn, before anything is computed, how many
// operations it takes, how many bytes move, and how much memory it needs at most.
#pragma once
#include <alphaform/backends/kernels.hpp>
#include <map>

namespace alphaform {

/// What one kernel does in all of its calls.
struct work final {
  std::size_t calls = 0;
  double flops = 0;      ///< additions, multiplications and comparisons
  double functions = 0;  ///< values of exp and functions made of it
  double bytes = 0;      ///< read and written, each operand once
};
/// By the kernels' names: what the counting kernels have seen since the last reset, in this thread.
using work_of_kernels = std::map<std::string_view, work>;
work_of_kernels& counted_work();

/// Kernels without storage that add to counted_work().
template <class T>
const kernels<T>& counting_kernels();

}  // namespace alphaform

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

/// Kernels without storage that add to counted_work(). @param own_memory  they stand for a backend that has its own, so
/// that windows are as there
template <class T>
const kernels<T>& counting_kernels(bool own_memory);
/// Do these only count?
template <class T>
bool only_counts(const kernels<T>& k) {
  return &k == &counting_kernels<T>(k.has_own_memory);
}

}  // namespace alphaform

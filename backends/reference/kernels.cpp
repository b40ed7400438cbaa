// The truth: the definitions, sequentially and in double.
#include <alphaform/backends/reference/definition.hpp>

namespace alphaform {

const kernels<double>& reference_kernels() {
  static constexpr kernels<double> table = reference::definition<double>::table();
  return table;
}

}  // namespace alphaform

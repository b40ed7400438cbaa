// What stands for the CUDA backend where alphaform was built without a CUDA compiler.
#include <alphaform/backends/kernels.hpp>
#include <alphaform/error.hpp>

namespace alphaform {

std::optional<std::string> why_no_cuda() {
  return "this alphaform was built without CUDA: with the CUDA Toolkit installed (nvcc on the PATH), configure and "
         "build it again";
}

const kernels<float>& cuda_kernels(product_precision) { throw user_error(*why_no_cuda()); }

}  // namespace alphaform

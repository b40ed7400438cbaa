#include <alphaform/error.hpp>
#include <alphaform/tools/device.hpp>

namespace alphaform::tools {

namespace {
const kernels<float>*& chosen() {
  static const kernels<float>* k = &cpu_kernels();
  return k;
}
}  // namespace

void use_device(std::string_view name, std::string_view products) {
  const bool rounded = products == "bfloat16", cuda = name == "cuda";
  if (rounded && !cuda)
    throw user_error("--products bfloat16 was asked for without --device cuda: the CPU has no such products here");
  chosen() = cuda ? &cuda_kernels(rounded ? product_precision::bfloat16 : product_precision::float32) : &cpu_kernels();
}
const kernels<float>& device() { return *chosen(); }

}  // namespace alphaform::tools

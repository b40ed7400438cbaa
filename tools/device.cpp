#include <alphaform/tools/device.hpp>

namespace alphaform::tools {

namespace {
const kernels<float>*& chosen() {
  static const kernels<float>* k = &cpu_kernels();
  return k;
}
}  // namespace

void use_device(std::string_view name) { chosen() = name == "cuda" ? &cuda_kernels() : &cpu_kernels(); }
const kernels<float>& device() { return *chosen(); }

}  // namespace alphaform::tools

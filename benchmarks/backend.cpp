#include <alphaform/backends/tensor.hpp>
#include <alphaform/benchmarks/backend.hpp>

namespace alphaform::benchmarks {

namespace {
const kernels<float>*& chosen() {
  static const kernels<float>* k = &cpu_kernels();
  return k;
}
number_format& chosen_format() {
  static number_format f = number_format::whole;
  return f;
}
}  // namespace

const kernels<float>& backend() { return *chosen(); }
void use_backend(const kernels<float>& k) { chosen() = &k; }
number_format format_of_inputs() { return chosen_format(); }
void use_format(number_format f) { chosen_format() = f; }

void finish() {
  if (!backend().has_own_memory) return;
  const tensor<float> last = arena<float>(backend()).filled(single, 0);
  float number = 0;
  backend().download(last.v.data, 1, &number);
}

}  // namespace alphaform::benchmarks

// Where the cases run: the CPU, unless another backend is chosen.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::benchmarks {

const kernels<float>& backend();
void use_backend(const kernels<float>&);
/// How inputs are stored: as float32, unless something else is chosen.
number_format format_of_inputs();
void use_format(number_format);
/// Waits until all work that was asked for is done.
void finish();

}  // namespace alphaform::benchmarks

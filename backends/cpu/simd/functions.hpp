// The functions of the vocabulary on float arrays, with the best instructions that the processor has.
#pragma once
#include <alphaform/algebra/functions.hpp>
#include <cstddef>

namespace alphaform::cpu {

/// y[i] = f(x[i]) for n places; y may be x. A result does not depend on its place.
using strip_function = void (*)(const float* x, float* y, std::size_t n);

strip_function function_on_strips(code);

}  // namespace alphaform::cpu

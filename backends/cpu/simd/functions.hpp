// The functions of the vocabulary on float arrays, with the best instructions that the processor has.
#pragma once
#include <alphaform/algebra/functions.hpp>
#include <cstddef>

namespace alphaform::cpu {

/// y[i] = f(x[i]) for n places; y may be x. A result does not depend on its place.
using strip_function = void (*)(const float* x, float* y, std::size_t n);

strip_function function_on_strips(code);

/// y[i] = f(x[i] + row[i % vector]) factor[i], without the sum or the product where they are not asked for: n is whole
/// vectors, and `row` is one. y may be x or factor.
using strip_function_within = void (*)(const float* x, const float* row, const float* factor, float* y, std::size_t n);
strip_function_within function_within(code, bool sum, bool product);

}  // namespace alphaform::cpu

// The loops of one pointwise instruction over strips, with the best instructions that the processor has.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <cstddef>

namespace alphaform::cpu {

/// y[i] = o(a[i], b[i], c[i]) for n places; an argument that is repeated is one number. y may be an argument.
using strip_loop = void (*)(const float* a, const float* b, const float* c, float* y, std::size_t n);

/// @param repeated  bit k is set if argument k is repeated
strip_loop loop_of(pointwise::operation, unsigned repeated);

/// rows of n numbers, `row_step` apart and with `step` from one to the next, one after the other; up to 64 numbers more
/// are written.
using spread_loop = void (*)(const float* x, std::size_t row_step, std::size_t step, std::size_t rows, std::size_t n,
                             float* y);
spread_loop loop_of_spread();

}  // namespace alphaform::cpu

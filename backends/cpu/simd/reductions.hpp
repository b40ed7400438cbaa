// Arrays to one number.
#pragma once
#include <cstddef>

namespace alphaform::cpu {

/// The sum of n numbers, or of their magnitudes; the order in which they are added depends on n alone.
float sum(std::size_t n, const float* x, bool absolute);
/// Is every u v in [least, 0]? A factor with step 0 is one number. A product that is not a number is taken as within.
bool fades(std::size_t n, const float* u, std::size_t u_step, const float* v, std::size_t v_step, float least);

}  // namespace alphaform::cpu

// Products of row-major matrices on one thread; rows lie `*_row` elements apart.
#pragma once
#include <cstddef>

namespace alphaform::cpu {

/// y[m, n] += sum_k a[m, k] b[n, k]
void product(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, const float* b,
             std::size_t b_row, float* y, std::size_t y_row);

/// y[m, n] = sum_k a[m, k] b[k, n], or += if `add`
void product_rows(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, const float* b,
                  std::size_t b_row, float* y, std::size_t y_row, bool add);

}  // namespace alphaform::cpu

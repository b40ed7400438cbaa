// Products of matrices on the card.
#pragma once
#include <algorithm>
#include <alphaform/backends/kernels.hpp>
#include <cstdint>

namespace alphaform::cuda {

/// Numbers by row and column, as a library takes them that has columns one after the other.
struct matrix final {
  const float* at;
  std::int64_t rows, columns, row_step, column_step;

  /// Steps along an axis of one entry count for nothing.
  bool follows(std::int64_t count, std::int64_t step) const { return count == 1 || step == 1; }
  bool by_columns() const { return follows(rows, row_step) && (columns == 1 || column_step >= rows); }
  bool by_rows() const { return follows(columns, column_step) && (rows == 1 || row_step >= columns); }
  bool takable() const { return by_columns() || by_rows(); }
  std::int64_t leading() const {
    const bool columns_follow = by_columns();
    const std::int64_t least = std::max<std::int64_t>(1, columns_follow ? rows : columns);
    return (columns_follow ? columns : rows) == 1 ? least : columns_follow ? column_step : row_step;
  }
  matrix transposed() const { return {at, columns, rows, column_step, row_step}; }
};

/// c = a b, `count` times, each so many numbers after the one before.
struct product final {
  matrix a, b, c;
  std::int64_t count, b_step, c_step;

  bool takable() const { return a.takable() && b.takable() && c.takable(); }
  void run(product_precision) const;  ///< @throws runtime_error with what cuBLAS answered
};

}  // namespace alphaform::cuda

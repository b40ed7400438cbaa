// Register tiles of matrix products, and the transposition that packs their operands. Included once for each set of
// instructions.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/highway.h>
// clang-format on
#include <algorithm>
#include <cstddef>

#if defined(ALPHAFORM_CPU_SIMD_PRODUCTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_PRODUCTS_INL
#undef ALPHAFORM_CPU_SIMD_PRODUCTS_INL
#else
#define ALPHAFORM_CPU_SIMD_PRODUCTS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using lanes = hn::CappedTag<float, 16>;

/// A tile has `tile_rows` rows of two vectors: as many sums as registers hold beside the operands.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE2
constexpr std::size_t tile_rows = 6;
#else
constexpr std::size_t tile_rows = 8;
#endif
HWY_INLINE std::size_t tile_columns() { return 2 * hn::Lanes(lanes()); }
constexpr std::size_t most_tile_columns = 32;

/// One product of a tile: a[r a_row + k a_step] b[k b_row + column], summed over k < depth.
struct factors final {
  const float* a;
  std::size_t a_row, a_step;
  const float* b;
  std::size_t b_row;
  std::size_t depth;
};

template <class V>
HWY_INLINE void add_row(const float* a, V b0, V b1, V& sum0, V& sum1) {
  const V scale = hn::Set(lanes(), *a);
  sum0 = hn::MulAdd(scale, b0, sum0);
  sum1 = hn::MulAdd(scale, b1, sum1);
}

/// Calls finish(r, left, right) with the two vectors of each of the `rows` <= tile_rows rows of the sum of the products
/// [begin, end). Rows of a beyond `rows` are not read; b is read tile_columns() wide.
template <class Finish>
HWY_INLINE void tile(std::size_t rows, const factors* begin, const factors* end, Finish finish) {
  const lanes d;
  const std::size_t width = hn::Lanes(d);
  using V = hn::Vec<lanes>;
  V l0 = hn::Zero(d), l1 = l0, l2 = l0, l3 = l0, l4 = l0, l5 = l0, l6 = l0, l7 = l0;
  V r0 = l0, r1 = l0, r2 = l0, r3 = l0, r4 = l0, r5 = l0, r6 = l0, r7 = l0;
  for (const factors* f = begin; f != end; ++f) {
    const auto row = [f, rows](std::size_t r) { return f->a + std::min(r, rows - 1) * f->a_row; };
    const float *a0 = row(0), *a1 = row(1), *a2 = row(2), *a3 = row(3), *a4 = row(4), *a5 = row(5);
    const float *a6 = row(6), *a7 = row(7), *b = f->b;
    const std::size_t step = f->a_step, b_row = f->b_row;
    for (std::size_t k = 0, i = 0; k < f->depth; ++k, i += step, b += b_row) {
      const V b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + width);
      add_row(a0 + i, b0, b1, l0, r0);
      add_row(a1 + i, b0, b1, l1, r1);
      add_row(a2 + i, b0, b1, l2, r2);
      add_row(a3 + i, b0, b1, l3, r3);
      add_row(a4 + i, b0, b1, l4, r4);
      add_row(a5 + i, b0, b1, l5, r5);
      if constexpr (tile_rows > 6) {
        add_row(a6 + i, b0, b1, l6, r6);
        add_row(a7 + i, b0, b1, l7, r7);
      }
    }
  }
  finish(0, l0, r0);
  if (rows > 1) finish(1, l1, r1);
  if (rows > 2) finish(2, l2, r2);
  if (rows > 3) finish(3, l3, r3);
  if (rows > 4) finish(4, l4, r4);
  if (rows > 5) finish(5, l5, r5);
  if constexpr (tile_rows > 6) {
    if (rows > 6) finish(6, l6, r6);
    if (rows > 7) finish(7, l7, r7);
  }
}

#if !HWY_HAVE_SCALABLE && HWY_TARGET != HWY_SCALAR
/// The four numbers at x of a row, of the fourth row after it, and so on, one row in each block of four lanes.
template <class D>
HWY_INLINE hn::Vec<D> every_fourth_row(D d, const float* x, std::size_t row) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return hn::LoadU(d, x);
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, every_fourth_row(half, x + hn::MaxLanes(D()) / 2 * row, row), every_fourth_row(half, x, row));
  }
}
#endif

/// y[j y_row + i] = x[i x_row + j] for i < rows and j < columns.
template <class D>
HWY_INLINE void transpose([[maybe_unused]] D d, const float* x, std::size_t x_row, std::size_t rows,
                          std::size_t columns, float* y, std::size_t y_row) {
  std::size_t i = 0;
#if !HWY_HAVE_SCALABLE && HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(D()) >= 4) {
    constexpr std::size_t width = hn::MaxLanes(D());
    for (; i + width <= rows; i += width) {
      std::size_t j = 0;
      for (; j + 4 <= columns; j += 4) {
        const float* from = x + i * x_row + j;
        const auto p0 = every_fourth_row(d, from, x_row), p1 = every_fourth_row(d, from + x_row, x_row),
                   p2 = every_fourth_row(d, from + 2 * x_row, x_row), p3 = every_fourth_row(d, from + 3 * x_row, x_row);
        const auto q0 = hn::InterleaveLower(d, p0, p2), q1 = hn::InterleaveLower(d, p1, p3),
                   q2 = hn::InterleaveUpper(d, p0, p2), q3 = hn::InterleaveUpper(d, p1, p3);
        float* to = y + j * y_row + i;
        hn::StoreU(hn::InterleaveLower(d, q0, q1), d, to);
        hn::StoreU(hn::InterleaveUpper(d, q0, q1), d, to + y_row);
        hn::StoreU(hn::InterleaveLower(d, q2, q3), d, to + 2 * y_row);
        hn::StoreU(hn::InterleaveUpper(d, q2, q3), d, to + 3 * y_row);
      }
      for (; j < columns; ++j)
        for (std::size_t k = i; k < i + width; ++k) y[j * y_row + k] = x[k * x_row + j];
    }
    if constexpr (width > 4) {
      if (i < rows) transpose(hn::Half<D>(), x + i * x_row, x_row, rows - i, columns, y + i, y_row);
      return;
    }
  }
#endif
  for (; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) y[j * y_row + i] = x[i * x_row + j];
}

/// y[0, n) = x[0], x[step], ... x[(n-1) step]
HWY_INLINE void copy_strided(const float* x, std::ptrdiff_t step, std::size_t n, float* y) {
  std::size_t i = 0;
  if (step == 1) {
    const lanes d;
    for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(hn::LoadU(d, x + i), d, y + i);
  }
  for (; i < n; ++i) y[i] = x[static_cast<std::ptrdiff_t>(i) * step];
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// Large products go through packed panels of the right operand, as wide as a register tile, that stay in the first
// cache. Rows of the left operand are copied closer together: rows a power of two apart would fall on the same lines.
#include <alphaform/backends/cpu/products/products.hpp>
#include <memory>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/products/products.cpp"
// The choice of instructions comes before what is compiled for each.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <alphaform/backends/cpu/products/products-inl.hpp>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

constexpr std::size_t depth_block = 256, column_block = 1024, row_block = 128, row_step = depth_block + 16;

struct buffers final {
  std::unique_ptr<float[]> panels{new float[depth_block * column_block]}, rows{new float[row_block * row_step]};
};

/// One row of a tile into y, `count` of its columns.
template <class V>
HWY_INLINE void put(V left, V right, std::size_t count, bool add, float* y) {
  const lanes d;
  const std::size_t width = hn::Lanes(d);
  if (count == 2 * width) {
    hn::StoreU(add ? hn::Add(left, hn::LoadU(d, y)) : left, d, y);
    hn::StoreU(add ? hn::Add(right, hn::LoadU(d, y + width)) : right, d, y + width);
    return;
  }
  HWY_ALIGN float row[most_tile_columns];
  hn::StoreU(left, d, row);
  hn::StoreU(right, d, row + width);
  for (std::size_t j = 0; j < count; ++j) y[j] = add ? y[j] + row[j] : row[j];
}

/// y (+)= a b for panels of b that pack(first k, how many, first column, how many, panel) lays out, k after k.
template <class Pack>
HWY_INLINE void by_panels(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, float* y,
                          std::size_t y_row, bool add, Pack pack) {
  const std::size_t wide = tile_columns();
  static thread_local const buffers kept;
  float *const packed = kept.panels.get(), *const rows = kept.rows.get();
  for (std::size_t j0 = 0; j0 < n; j0 += column_block) {
    const std::size_t j1 = std::min(n, j0 + column_block);
    for (std::size_t k0 = 0; k0 < k; k0 += depth_block) {
      const std::size_t depth = std::min(k - k0, depth_block);
      for (std::size_t j = j0; j < j1; j += wide) pack(k0, depth, j, std::min(j1 - j, wide), packed + (j - j0) * depth);
      for (std::size_t i0 = 0; i0 < m; i0 += row_block) {
        const std::size_t count = std::min(m - i0, row_block);
        for (std::size_t i = 0; i < count; ++i) copy_strided(a + (i0 + i) * a_row + k0, 1, depth, rows + i * row_step);
        for (std::size_t j = j0; j < j1; j += wide)
          for (std::size_t i = 0; i < count; i += tile_rows) {
            const factors f{rows + i * row_step, row_step, 1, packed + (j - j0) * depth, wide, depth};
            tile(std::min(tile_rows, count - i), &f, &f + 1, [=](std::size_t r, auto left, auto right) HWY_ATTR {
              put(left, right, std::min(j1 - j, wide), add || k0 > 0, y + (i0 + i + r) * y_row + j);
            });
          }
      }
    }
  }
}

/// One row of y, whose entries are inner products of contiguous rows: too few to pack b for.
HWY_INLINE void row_by_rows(std::size_t n, std::size_t k, const float* a, const float* b, std::size_t b_row, float* y) {
  const lanes d;
  const std::size_t width = hn::Lanes(d), whole = k / width * width;
  for (std::size_t j = 0; j < n; j += 4) {
    const std::size_t count = std::min<std::size_t>(4, n - j);
    const float *b0 = b + j * b_row, *b1 = b0 + std::min<std::size_t>(1, count - 1) * b_row,
                *b2 = b0 + std::min<std::size_t>(2, count - 1) * b_row, *b3 = b0 + (count - 1) * b_row;
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (std::size_t q = 0; q < whole; q += width) {
      const auto x = hn::LoadU(d, a + q);
      s0 = hn::MulAdd(x, hn::LoadU(d, b0 + q), s0);
      s1 = hn::MulAdd(x, hn::LoadU(d, b1 + q), s1);
      s2 = hn::MulAdd(x, hn::LoadU(d, b2 + q), s2);
      s3 = hn::MulAdd(x, hn::LoadU(d, b3 + q), s3);
    }
    float sums[4]{hn::GetLane(hn::SumOfLanes(d, s0)), hn::GetLane(hn::SumOfLanes(d, s1)),
                  hn::GetLane(hn::SumOfLanes(d, s2)), hn::GetLane(hn::SumOfLanes(d, s3))};
    for (std::size_t q = whole; q < k; ++q) {
      sums[0] += a[q] * b0[q];
      sums[1] += a[q] * b1[q];
      sums[2] += a[q] * b2[q];
      sums[3] += a[q] * b3[q];
    }
    for (std::size_t r = 0; r < count; ++r) y[j + r] += sums[r];
  }
}

void product_of(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, const float* b,
                std::size_t b_row, float* y, std::size_t y_row) {
  if (m <= 3) {
    for (std::size_t i = 0; i < m; ++i) row_by_rows(n, k, a + i * a_row, b, b_row, y + i * y_row);
    return;
  }
  by_panels(m, n, k, a, a_row, y, y_row, true,
            [=](std::size_t k0, std::size_t depth, std::size_t j, std::size_t count, float* panel) HWY_ATTR {
              if (count < tile_columns()) std::fill_n(panel, depth * tile_columns(), 0.0f);
              transpose(lanes(), b + j * b_row + k0, b_row, count, depth, panel, tile_columns());
            });
}

void product_of_rows(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, const float* b,
                     std::size_t b_row, float* y, std::size_t y_row, bool add) {
  const std::size_t direct = m <= tile_rows ? n / tile_columns() * tile_columns() : 0;  // columns that are not packed
  for (std::size_t j = 0; j < direct; j += tile_columns()) {
    const factors f{a, a_row, 1, b + j, b_row, k};
    tile(m, &f, &f + 1, [=](std::size_t r, auto left, auto right) HWY_ATTR {
      put(left, right, tile_columns(), add, y + r * y_row + j);
    });
  }
  by_panels(m, n - direct, k, a, a_row, y + direct, y_row, add,
            [=](std::size_t k0, std::size_t depth, std::size_t j, std::size_t count, float* panel) HWY_ATTR {
              if (count < tile_columns()) std::fill_n(panel, depth * tile_columns(), 0.0f);
              for (std::size_t q = 0; q < depth; ++q)
                copy_strided(b + (k0 + q) * b_row + direct + j, 1, count, panel + q * tile_columns());
            });
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {

HWY_EXPORT(product_of);
HWY_EXPORT(product_of_rows);

void product(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, const float* b,
             std::size_t b_row, float* y, std::size_t y_row) {
  HWY_DYNAMIC_DISPATCH(product_of)(m, n, k, a, a_row, b, b_row, y, y_row);
}

void product_rows(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t a_row, const float* b,
                  std::size_t b_row, float* y, std::size_t y_row, bool add) {
  if (k == 0 && !add)
    for (std::size_t i = 0; i < m; ++i) std::fill_n(y + i * y_row, n, 0.0f);
  if (m > 0) HWY_DYNAMIC_DISPATCH(product_of_rows)(m, n, k, a, a_row, b, b_row, y, y_row, add);
}

}  // namespace alphaform::cpu
#endif

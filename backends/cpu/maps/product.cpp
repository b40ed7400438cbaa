// Register tiles of eight rows, one or two vectors wide.
#include <alphaform/backends/cpu/maps/product.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/maps/product.cpp"
// The choice of instructions comes before what is compiled for each.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <alphaform/backends/cpu/maps/vectors-inl.hpp>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

using maps::leaf_tokens;
using maps::panel_product;
constexpr std::size_t tile_height = 8;

/// One vector of columns for each of eight rows.
struct tile_column final {
  map_vector r0, r1, r2, r3, r4, r5, r6, r7;

  static HWY_INLINE tile_column Of(map_vector x) { return {x, x, x, x, x, x, x, x}; }
  static HWY_INLINE tile_column Load(const float* p, std::size_t stride) {
    const map_lanes d;
    return {hn::LoadU(d, p),
            hn::LoadU(d, p + stride),
            hn::LoadU(d, p + 2 * stride),
            hn::LoadU(d, p + 3 * stride),
            hn::LoadU(d, p + 4 * stride),
            hn::LoadU(d, p + 5 * stride),
            hn::LoadU(d, p + 6 * stride),
            hn::LoadU(d, p + 7 * stride)};
  }
  /// p = f(r, p) row by row.
  template <class F>
  HWY_INLINE void Into(float* p, std::size_t stride, F f) const {
    const map_lanes d;
    const auto put = [&](map_vector r, float* at) HWY_ATTR { hn::StoreU(f(r, hn::LoadU(d, at)), d, at); };
    put(r0, p);
    put(r1, p + stride);
    put(r2, p + 2 * stride);
    put(r3, p + 3 * stride);
    put(r4, p + 4 * stride);
    put(r5, p + 5 * stride);
    put(r6, p + 6 * stride);
    put(r7, p + 7 * stride);
  }
  template <class F>
  HWY_INLINE void Combine(const tile_column& x, F f) {
    r0 = f(x.r0, r0);
    r1 = f(x.r1, r1);
    r2 = f(x.r2, r2);
    r3 = f(x.r3, r3);
    r4 = f(x.r4, r4);
    r5 = f(x.r5, r5);
    r6 = f(x.r6, r6);
    r7 = f(x.r7, r7);
  }
  HWY_INLINE void Add(const float* row, map_vector column) {
    const map_lanes d;
    r0 = hn::MulAdd(hn::Set(d, row[0]), column, r0);
    r1 = hn::MulAdd(hn::Set(d, row[1]), column, r1);
    r2 = hn::MulAdd(hn::Set(d, row[2]), column, r2);
    r3 = hn::MulAdd(hn::Set(d, row[3]), column, r3);
    r4 = hn::MulAdd(hn::Set(d, row[4]), column, r4);
    r5 = hn::MulAdd(hn::Set(d, row[5]), column, r5);
    r6 = hn::MulAdd(hn::Set(d, row[6]), column, r6);
    r7 = hn::MulAdd(hn::Set(d, row[7]), column, r7);
  }
};

/// Two columns of vectors, whose rows are read once.
HWY_INLINE void AddBoth(const float* row, map_vector left, map_vector right, tile_column& a, tile_column& b) {
  const map_lanes d;
  const auto add = [&](float x, map_vector& p, map_vector& q) HWY_ATTR {
    const map_vector scale = hn::Set(d, x);
    p = hn::MulAdd(scale, left, p);
    q = hn::MulAdd(scale, right, q);
  };
  add(row[0], a.r0, b.r0);
  add(row[1], a.r1, b.r1);
  add(row[2], a.r2, b.r2);
  add(row[3], a.r3, b.r3);
  add(row[4], a.r4, b.r4);
  add(row[5], a.r5, b.r5);
  add(row[6], a.r6, b.r6);
  add(row[7], a.r7, b.r7);
}

/// Where 512-bit registers are 32, a tile is two vectors wide.
#if HWY_TARGET == HWY_AVX3
constexpr std::size_t tile_vectors = 2;
#else
constexpr std::size_t tile_vectors = 1;
#endif

/// Calls f(rows of the panel, columns of the panel, tile) for every register tile.
template <std::size_t Vectors, class F>
HWY_INLINE void Tiles(const panel_product& p, F f) {
  const std::size_t width = Vectors * hn::Lanes(map_lanes()), group = p.over.pitch() * leaf_tokens;
  for (std::size_t j = 0; j < p.column_groups; ++j)
    for (std::size_t column = 0; column < leaf_tokens; column += width)
      for (std::size_t i = 0; i < p.row_groups * leaf_tokens; i += tile_height)
        f(p.of.rows + i / leaf_tokens * group + i % leaf_tokens, p.of.columns + j * group + column,
          p.tile + i * p.stride + j * leaf_tokens + column);
}

void SumProducts(const panel_product& p) {
  const map_lanes d;
  const auto add = [](map_vector x, map_vector y) HWY_ATTR { return hn::Add(x, y); };
  Tiles<tile_vectors>(p, [&](const float* row, const float* column, float* to) HWY_ATTR {
    const std::size_t width = hn::Lanes(d);
    tile_column a = tile_column::Of(hn::Zero(d));
    if constexpr (tile_vectors == 2) {
      tile_column b = a;
      for (std::size_t k = 0; k < p.over.depth; ++k, row += leaf_tokens, column += leaf_tokens)
        AddBoth(row, hn::Load(d, column), hn::Load(d, column + width), a, b);
      b.Into(to + width, p.stride, add);
    } else {
      for (std::size_t k = 0; k < p.over.depth; ++k, row += leaf_tokens, column += leaf_tokens)
        a.Add(row, hn::Load(d, column));
    }
    a.Into(to, p.stride, add);
  });
}

/// Many states: a tile of sums over them, then into what is taken over channels, which lies in the first cache.
template <class F>
HWY_INLINE void CombineMany(const maps::channels& m, const panel_product& p, F combine) {
  const map_lanes d;
  Tiles<tile_vectors>(p, [&](const float* row, const float* column, float* to) HWY_ATTR {
    const std::size_t width = hn::Lanes(d);
    for (std::size_t c = 0; c < p.over.channels; ++c) {
      const map_vector weight = hn::Set(d, m.of.weight.data[(p.over.channel + c) * m.of.weight.step(axis::chan)]);
      const auto taken = [&](map_vector x, map_vector y) HWY_ATTR { return combine(weight, x, y); };
      tile_column a = tile_column::Of(hn::Zero(d));
      if constexpr (tile_vectors == 2) {
        tile_column b = a;
        for (std::size_t n = 0; n < m.states; ++n, row += leaf_tokens, column += leaf_tokens)
          AddBoth(row, hn::Load(d, column), hn::Load(d, column + width), a, b);
        b.Into(to + width, p.stride, taken);
      } else {
        for (std::size_t n = 0; n < m.states; ++n, row += leaf_tokens, column += leaf_tokens)
          a.Add(row, hn::Load(d, column));
      }
      a.Into(to, p.stride, taken);
    }
  });
}

/// Few states: what is taken over channels stays in registers.
template <class F>
HWY_INLINE void CombineFew(const maps::channels& m, const panel_product& p, F combine) {
  const map_lanes d;
  Tiles<1>(p, [&](const float* row, const float* column, float* to) HWY_ATTR {
    tile_column all = tile_column::Load(to, p.stride);
    for (std::size_t c = 0; c < p.over.channels; ++c) {
      const map_vector weight = hn::Set(d, m.of.weight.data[(p.over.channel + c) * m.of.weight.step(axis::chan)]);
      tile_column a = tile_column::Of(hn::Zero(d));
      for (std::size_t n = 0; n < m.states; ++n, row += leaf_tokens, column += leaf_tokens)
        a.Add(row, hn::Load(d, column));
      all.Combine(a, [&](map_vector x, map_vector y) HWY_ATTR { return combine(weight, x, y); });
    }
    all.Into(to, p.stride, [](map_vector x, map_vector) HWY_ATTR { return x; });
  });
}

template <class F>
HWY_INLINE void Combine(const maps::channels& m, const panel_product& p, F combine) {
  if (m.states < 8)
    CombineFew(m, p, combine);
  else
    CombineMany(m, p, combine);
}

void CombineProducts(const maps::channels& m, const panel_product& p) {
  const map_lanes d;
  if (m.over == over_channels::absolute)
    Combine(m, p, [](map_vector w, map_vector x, map_vector y) HWY_ATTR { return hn::MulAdd(w, hn::Abs(x), y); });
  else if (m.over == over_channels::positive)
    Combine(m, p, [d](map_vector w, map_vector x, map_vector y) HWY_ATTR {
      return hn::MulAdd(w, hn::Max(x, hn::Zero(d)), y);
    });
  else
    Combine(m, p, [](map_vector w, map_vector x, map_vector y) HWY_ATTR { return hn::Max(hn::Mul(w, hn::Abs(x)), y); });
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
HWY_EXPORT(SumProducts);
HWY_EXPORT(CombineProducts);

namespace maps {
void sum_products(const panel_product& p) { HWY_DYNAMIC_DISPATCH(SumProducts)(p); }
void combine_products(const channels& m, const panel_product& p) { HWY_DYNAMIC_DISPATCH(CombineProducts)(m, p); }
}  // namespace maps
}  // namespace alphaform::cpu
#endif

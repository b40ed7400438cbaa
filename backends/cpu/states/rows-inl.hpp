// Rows of strided operands as vectors, and small matrices transposed, for `strip-inl.hpp`.
#if defined(ALPHAFORM_CPU_STATES_ROWS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_STATES_ROWS_INL
#undef ALPHAFORM_CPU_STATES_ROWS_INL
#else
#define ALPHAFORM_CPU_STATES_ROWS_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <alphaform/backends/cpu/memory.hpp>
#include <cstddef>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using lanes = hn::ScalableTag<float>;
using vec = hn::Vec<lanes>;
constexpr std::size_t width = hn::MaxLanes(lanes());

/// Floats that one thread's kernels work in; they stay for its next call.
inline float* scratch(std::size_t count) {
  thread_local working_memory floats;
  thread_local std::size_t size = 0;
  if (size < count) {
    floats = allocate_working(count);
    size = count;
  }
  return floats.get();
}

inline std::ptrdiff_t offset(std::ptrdiff_t stride, std::size_t n) { return stride * static_cast<std::ptrdiff_t>(n); }
constexpr std::size_t whole_vectors(std::size_t count) { return (count + width - 1) / width * width; }

/// A row as whole contiguous vectors: where it is, or else in `buffer`. The last number is repeated to a vector's end.
HWY_INLINE const float* row(const float* p, std::ptrdiff_t stride, std::size_t count, float* buffer) {
  const std::size_t whole = whole_vectors(count);
  if (stride == 1 && whole == count) return p;
  if (stride == 0) {
    const lanes d;
    const vec all = hn::Set(d, *p);
    for (std::size_t i = 0; i < whole; i += width) hn::StoreU(all, d, buffer + i);
  } else {
    for (std::size_t i = 0; i < count; ++i) buffer[i] = p[offset(stride, i)];
    std::fill_n(buffer + count, whole - count, buffer[count - 1]);
  }
  return buffer;
}

/// So that 0 times it is 0.
HWY_INLINE vec finite(vec v) {
  const vec most = hn::Set(lanes(), std::numeric_limits<float>::max());
  return hn::Max(hn::Min(v, most), hn::Neg(most));
}

#if HWY_TARGET != HWY_SCALAR
/// to[i, j] = from[j, i] for four by four numbers.
HWY_INLINE void transpose_four(const float* from, std::ptrdiff_t from_row, float* to, std::ptrdiff_t to_row) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> pairs;
  const auto load = [=](int j) HWY_ATTR { return hn::LoadU(d, from + j * from_row); };
  const auto low = [=](auto a, auto b) HWY_ATTR { return hn::BitCast(pairs, hn::InterleaveLower(d, a, b)); };
  const auto high = [=](auto a, auto b) HWY_ATTR { return hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)); };
  const auto a = load(0), b = load(1), c = load(2), e = load(3);
  const auto ab0 = low(a, b), ab1 = high(a, b), ce0 = low(c, e), ce1 = high(c, e);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab0, ce0)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab0, ce0)), d, to + to_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab1, ce1)), d, to + 2 * to_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab1, ce1)), d, to + 3 * to_row);
}
#endif

/// to[j, i] = from[i, j], with numbers of a row so far apart in `from`, and of a column in `to`.
inline void transpose(std::size_t rows, std::size_t columns, const float* from, std::ptrdiff_t row_stride,
                      std::ptrdiff_t from_step, float* to, std::ptrdiff_t column_stride, std::ptrdiff_t to_step) {
  std::size_t fast_rows = 0, fast_columns = 0;
#if HWY_TARGET != HWY_SCALAR
  if (from_step == 1 && to_step == 1) {
    fast_rows = rows / 4 * 4, fast_columns = columns / 4 * 4;
    for (std::size_t i = 0; i < fast_rows; i += 4)
      for (std::size_t j = 0; j < fast_columns; j += 4)
        transpose_four(from + offset(row_stride, i) + j, row_stride, to + offset(column_stride, j) + i, column_stride);
  }
#endif
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = i < fast_rows ? fast_columns : 0; j < columns; ++j)
      to[offset(column_stride, j) + offset(to_step, i)] = from[offset(row_stride, i) + offset(from_step, j)];
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

// Filters as sums over a few earlier rows, which are still in the cache; lanes are channels, or tokens where those are
// what lies contiguously.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/filters/filter.cpp"
// The choice of targets comes first.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on
#include <hwy/cache_control.h>

#include <algorithm>
#include <alphaform/backends/cpu/filters/filter.hpp>
#include <alphaform/backends/cpu/runs.hpp>
#include <alphaform/backends/cpu/streaming.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <cstdlib>
#include <utility>
#include <vector>

#ifndef ALPHAFORM_CPU_FILTERED
#define ALPHAFORM_CPU_FILTERED
namespace alphaform::cpu {
/// y[t, i] = sum over k of taps[k, i] x[t - k, i], with entries i contiguous or the same; a filter into the past runs
/// from the first token on, one into the future from the last token, with negative strides.
struct filtered_rows final {
  std::size_t tokens, channels, width;
  const float *taps, *x;
  float* y;
  std::ptrdiff_t tap_stride, x_token, y_token;
  bool taps_repeat, x_repeats;
  bool leaves;  ///< rows of y are written past all caches
};
/// y[t] = sum over k of taps[k] x[t - direction k], with contiguous tokens.
struct filtered_line final {
  std::size_t tokens, width;
  const float *taps, *x;
  float* y;
  std::ptrdiff_t tap_stride, direction;
};
}  // namespace alphaform::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Some vectors of one row; x_token leads to the next token, so from there to the one before.
template <class D, std::size_t... J>
HWY_INLINE void filter_entries(D d, const filtered_rows& f, std::size_t taps, const float* tap, const float* x,
                               float* y, std::index_sequence<J...>) {
  const std::size_t width = hn::Lanes(d);
  const auto load = [d](const float* p, std::size_t j, bool repeats)
                        HWY_ATTR { return repeats ? hn::Set(d, *p) : hn::LoadU(d, p + j); };
  hn::Vec<D> sum[] = {hn::Mul(load(tap, J * width, f.taps_repeat), load(x, J * width, f.x_repeats))...};
  for (std::size_t k = 1; k < taps; ++k) {
    tap += f.tap_stride, x -= f.x_token;
    ((sum[J] = hn::MulAdd(load(tap, J * width, f.taps_repeat), load(x, J * width, f.x_repeats), sum[J])), ...);
  }
  (hn::StoreU(sum[J], d, y + J * width), ...);
}

/// Some vectors of the rows from `begin` on, which have all taps, with the taps in registers.
template <std::size_t Taps, class D, std::size_t... J>
HWY_INLINE void filter_columns(D d, const filtered_rows& f, std::size_t begin, std::size_t i,
                               std::index_sequence<J...>) {
  using V = hn::Vec<D>;
  constexpr std::ptrdiff_t ahead = 8;
  const std::size_t width = hn::Lanes(d);
  const auto start = static_cast<std::ptrdiff_t>(begin);
  const float* x = f.x + start * f.x_token + i;
  float* y = f.y + start * f.y_token + i;
  const auto tap = [&](std::size_t k, std::size_t j) HWY_ATTR {
    return hn::LoadU(d, f.taps + static_cast<std::ptrdiff_t>(k) * f.tap_stride + i + j * width);
  };
  V t0[] = {tap(0, J)...}, t1[] = {tap(1, J)...}, t2[] = {tap(Taps > 2 ? 2 : 0, J)...},
    t3[] = {tap(Taps > 3 ? 3 : 0, J)...};
  for (std::size_t t = begin; t < f.tokens; ++t, x += f.x_token, y += f.y_token) {
    const auto at = [&](std::ptrdiff_t k, std::size_t j)
                        HWY_ATTR { return hn::LoadU(d, x - k * f.x_token + j * width); };
    (hwy::Prefetch(x + ahead * f.x_token + J * width), ...);
    V sum[] = {hn::MulAdd(t1[J], at(1, J), hn::Mul(t0[J], at(0, J)))...};
    if constexpr (Taps > 2) ((sum[J] = hn::MulAdd(t2[J], at(2, J), sum[J])), ...);
    if constexpr (Taps > 3) ((sum[J] = hn::MulAdd(t3[J], at(3, J), sum[J])), ...);
    if (f.leaves)
      (hn::Stream(sum[J], d, y + J * width), ...);
    else
      (hn::StoreU(sum[J], d, y + J * width), ...);
  }
}
template <class Vectors, class D>
HWY_INLINE void filter_columns(D d, const filtered_rows& f, std::size_t begin, std::size_t i, Vectors vectors) {
  if (f.width == 2) return filter_columns<2>(d, f, begin, i, vectors);
  if (f.width == 3) return filter_columns<3>(d, f, begin, i, vectors);
  filter_columns<4>(d, f, begin, i, vectors);
}

/// The tokens [begin, end), row by row.
void filter_row_by_row(const filtered_rows& f, std::size_t begin, std::size_t end_token) {
  constexpr std::size_t tile = 512;
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const std::size_t width = hn::Lanes(d);
  // Rows of a part of a larger stream's lanes lie apart: nothing else foresees them.
  constexpr std::ptrdiff_t ahead = 8;
  constexpr std::size_t line = 64 / sizeof(float);
  const bool apart = !f.x_repeats && std::abs(f.x_token) != static_cast<std::ptrdiff_t>(f.channels);
  for (std::size_t first = 0; first < f.channels; first += tile) {
    const std::size_t end = std::min(first + tile, f.channels);
    for (std::size_t t = begin; t < end_token; ++t) {
      const std::size_t taps = std::min(f.width, t + 1);
      const auto token = static_cast<std::ptrdiff_t>(t);
      std::size_t i = first;
      const auto entries = [&](auto vectors, auto tag) HWY_ATTR {
        if (apart)
          for (std::size_t j = 0; j < vectors.size() * hn::Lanes(tag); j += line)
            hwy::Prefetch(f.x + (token + ahead) * f.x_token + i + j);
        filter_entries(tag, f, taps, f.taps + (f.taps_repeat ? 0 : i), f.x + token * f.x_token + (f.x_repeats ? 0 : i),
                       f.y + token * f.y_token + i, vectors);
      };
      for (; i + 4 * width <= end; i += 4 * width) entries(std::make_index_sequence<4>{}, d);
      for (; i + width <= end; i += width) entries(std::make_index_sequence<1>{}, d);
      for (; i < end; ++i) entries(std::make_index_sequence<1>{}, one);
    }
  }
}

void filter_rows(const filtered_rows& f) {
  const hn::ScalableTag<float> d;
  const std::size_t at_once = 4 * hn::Lanes(d), edge = f.width - 1;
  const bool in_registers = f.width >= 2 && f.width <= 4 && !f.taps_repeat && !f.x_repeats && f.tokens > edge;
  if (!in_registers || f.channels % at_once != 0) return filter_row_by_row(f, 0, f.tokens);
  filter_row_by_row(f, 0, edge);
  for (std::size_t i = 0; i < f.channels; i += at_once) filter_columns(d, f, edge, i, std::make_index_sequence<4>{});
  if (f.leaves) hwy::FlushStream();
}

template <class D>
HWY_INLINE void filter_tokens(D d, const filtered_line& f, std::size_t taps, std::size_t t) {
  auto sum = hn::Zero(d);
  const float *tap = f.taps, *x = f.x + t;
  for (std::size_t k = 0; k < taps; ++k, tap += f.tap_stride, x -= f.direction)
    sum = hn::MulAdd(hn::Set(d, *tap), hn::LoadU(d, x), sum);
  hn::StoreU(sum, d, f.y + t);
}
void filter_line(const filtered_line& f) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const std::size_t tokens = f.tokens, edge = std::min(f.width - 1, tokens);
  const bool is_forward = f.direction > 0;
  // The tokens that have all taps, and those at the edge that have fewer.
  std::size_t t = is_forward ? edge : 0;
  const std::size_t end = is_forward ? tokens : tokens - edge;
  for (; t + hn::Lanes(d) <= end; t += hn::Lanes(d)) filter_tokens(d, f, f.width, t);
  for (; t < end; ++t) filter_tokens(one, f, f.width, t);
  for (std::size_t k = 0; k < edge; ++k) filter_tokens(one, f, k + 1, is_forward ? k : tokens - 1 - k);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
namespace {

HWY_EXPORT(filter_rows);
HWY_EXPORT(filter_line);

using in = view<const float>;
using out = view<float>;
constexpr axis time = axis::token;
std::ptrdiff_t signed_step(const in& v, axis a) { return static_cast<std::ptrdiff_t>(v.step(a)); }

/// The filter over contiguous tokens, for all other entries one by one.
void filter_lines(std::ptrdiff_t direction, in taps, in x, out y) {
  const std::size_t width = taps.of(axis::tap);
  const std::ptrdiff_t tap_stride = signed_step(taps, axis::tap);
  const extents lines = y.slice(time, 0, 1).size;
  reference::each(
      lines,
      [&](const float& tap, const float& from, float& to) {
        HWY_DYNAMIC_DISPATCH(filter_line)
        ({y.of(time), width, &tap, &from, &to, -tap_stride, direction});
      },
      taps.slice(axis::tap, width - 1, width), x.slice(time, 0, 1), y.slice(time, 0, 1));
}

/// The filters tap by tap, so that channels are contiguous, and the latest tap first.
std::vector<float> latest_first(in taps, const extents& tap_size) {
  const std::size_t width = taps.of(axis::tap), filters = volume(tap_size), channels = taps.of(axis::chan);
  std::vector<float> turned(width * filters);
  if (taps.stride == contiguous(taps.size) && (width == 1 || taps.step(axis::tap) == 1)) {  // filter after filter
    for (std::size_t i = 0; i < filters; ++i)
      for (std::size_t k = 0; k < width; ++k) turned[(width - 1 - k) * filters + i] = taps.data[i * width + k];
    return turned;
  }
  for (std::size_t k = 0; k < width; ++k) {
    const in tap = taps.slice(axis::tap, width - 1 - k, width - k);
    float* const to = turned.data() + k * filters;
    if (filters == channels)
      for (std::size_t c = 0; c < channels; ++c) to[c] = tap.data[c * tap.step(axis::chan)];
    else
      reference::each(
          tap_size, [](float from, float& entry) { entry = from; }, tap, out{to, tap_size, contiguous(tap_size)});
  }
  return turned;
}

/// y_t = sum_k w[K-1-k] x_{t - direction k}
void filter(std::ptrdiff_t direction, in taps, in x, out y) {
  const std::size_t tokens = y.of(time), width = taps.of(axis::tap);
  if (tokens > 1 && y.step(time) == 1 && x.step(time) == 1) return filter_lines(direction, taps, x, y);
  const extents tap_size = taps.slice(axis::tap, 0, 1).size;
  const std::size_t filters = volume(tap_size);
  const std::vector<float> turned = latest_first(taps, tap_size);
  const std::size_t start = direction > 0 ? 0 : tokens - 1;
  const auto first = [start](const auto& v) { return v.slice(time, start, start + 1); };
  runs(
      first(y).size,
      [&](std::size_t n, const float* tap, const float* from, float* to, std::size_t tap_step, std::size_t x_step,
          std::size_t) {
        HWY_DYNAMIC_DISPATCH(filter_rows)
        ({tokens, n, width, tap, from, to, static_cast<std::ptrdiff_t>(filters), direction * signed_step(x, time),
          direction * signed_step(y, time), tap_step == 0, x_step == 0,
          leaves_caches(to, signed_step(y, time), n, tokens)});
      },
      in{turned.data(), tap_size, contiguous(tap_size)}, first(x), first(y));
}

}  // namespace

void fir(in taps, in x, out y) { filter(1, taps, x, y); }
void fir_adjoint(in taps, in g, out y) { filter(-1, taps, g, y); }

}  // namespace alphaform::cpu
#endif

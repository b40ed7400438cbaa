// Scans along tokens with the states of some channels in registers, each as two floats: the second has what rounding
// lost of the first, so that long slow decays keep their precision at the cost of a few operations between loads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/states/recur.cpp"
// The choice of targets comes first.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <alphaform/backends/cpu/runs.hpp>
#include <alphaform/backends/cpu/states/recur.hpp>
#include <utility>

// Rows of contiguous numbers; the pointers are at the first token of the scan's direction, strides lead to the next.
#ifndef ALPHAFORM_CPU_RECUR_ROWS
#define ALPHAFORM_CPU_RECUR_ROWS
namespace alphaform::cpu {
struct recurred_rows final {
  std::size_t tokens, channels;
  const float *change, *x;
  float *h, *y;
  std::ptrdiff_t change_token, x_token, y_token;
  bool change_repeats, x_repeats;  ///< one number for all channels
};
}  // namespace alphaform::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class V>
struct two_floats {
  V high, low;
};
/// a h for change = a - 1 >= -1
template <class V>
HWY_INLINE two_floats<V> decayed(V change, two_floats<V> h) {
  const V moved = hn::Mul(change, h.high), lost = hn::MulSub(change, h.high, moved);
  const V sum = hn::Add(h.high, moved), lost_in_sum = hn::Sub(moved, hn::Sub(sum, h.high));
  return {sum, hn::Add(hn::MulAdd(change, h.low, h.low), hn::Add(lost, lost_in_sum))};
}
template <class V>
HWY_INLINE two_floats<V> increased(two_floats<V> h, V x) {
  const V sum = hn::Add(h.high, x), of_x = hn::Sub(sum, h.high);
  return {sum, hn::Add(h.low, hn::Add(hn::Sub(h.high, hn::Sub(sum, of_x)), hn::Sub(x, of_x)))};
}

/// One token of one vector of channels.
template <bool Adjoint, class D, class V = hn::Vec<D>>
HWY_INLINE two_floats<V> recurred(D d, two_floats<V> h, V change, V x, float* y) {
  if constexpr (Adjoint) {
    h = increased(h, x);
    hn::StoreU(hn::Add(h.high, h.low), d, y);
    return decayed(change, h);
  } else {
    h = increased(decayed(change, h), x);
    hn::StoreU(hn::Add(h.high, h.low), d, y);
    return h;
  }
}

/// Some vectors of channels from `first` on, with their states in registers. Results that lie apart are fetched ahead:
/// no hardware foresees where a part of a wider row goes on.
template <bool Adjoint, class D, std::size_t... N>
HWY_INLINE void recur_vectors(D d, const recurred_rows& r, std::size_t first, std::index_sequence<N...>) {
  using V = hn::Vec<D>;
  constexpr std::ptrdiff_t tokens_ahead = 8;
  const std::size_t lanes = hn::Lanes(d);
  const float *change = r.change + (r.change_repeats ? 0 : first), *x = r.x + (r.x_repeats ? 0 : first);
  float *const h = r.h + first, *y = r.y + first;
  two_floats<V> state[] = {two_floats<V>{hn::LoadU(d, h + N * lanes), hn::Zero(d)}...};
  const auto tokens = [&](auto change_of, auto x_of) HWY_ATTR {
    for (std::size_t t = 0; t < r.tokens; ++t) {
      (__builtin_prefetch(y + tokens_ahead * r.y_token + N * lanes, 1), ...);
      ((state[N] = recurred<Adjoint>(d, state[N], change_of(change, N), x_of(x, N), y + N * lanes)), ...);
      change += r.change_token, x += r.x_token, y += r.y_token;
    }
  };
  const auto every = [=](const float* p, std::size_t n) HWY_ATTR { return hn::LoadU(d, p + n * lanes); };
  const auto same = [=](const float* p, std::size_t) HWY_ATTR { return hn::Set(d, *p); };
  if (r.change_repeats)
    r.x_repeats ? tokens(same, same) : tokens(same, every);
  else
    r.x_repeats ? tokens(every, same) : tokens(every, every);
  (hn::StoreU(hn::Add(state[N].high, state[N].low), d, h + N * lanes), ...);
}

template <bool Adjoint>
void recur_rows(const recurred_rows& r) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  constexpr std::size_t at_once = 8;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + at_once * lanes <= r.channels; i += at_once * lanes)
    recur_vectors<Adjoint>(d, r, i, std::make_index_sequence<at_once>());
  for (; i + lanes <= r.channels; i += lanes) recur_vectors<Adjoint>(d, r, i, std::index_sequence<0>());
  for (; i < r.channels; ++i) recur_vectors<Adjoint>(one, r, i, std::index_sequence<0>());
}
void recur_forward(const recurred_rows& r) { recur_rows<false>(r); }
void recur_backward(const recurred_rows& r) { recur_rows<true>(r); }

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
namespace {

HWY_EXPORT(recur_forward);
HWY_EXPORT(recur_backward);

template <bool Adjoint>
void scan_rows(view<const float> change, view<const float> x, view<float> h, view<float> y) {
  const std::size_t tokens = y.of(axis::token), start = Adjoint ? tokens - 1 : 0;
  const auto first = [start](const auto& v) { return v.slice(axis::token, start, start + 1); };
  const auto step = [](const auto& v) {
    const auto s = static_cast<std::ptrdiff_t>(v.step(axis::token));
    return Adjoint ? -s : s;
  };
  runs(
      h.size,
      [&](std::size_t n, const float* a, const float* b, float* state, float* to, std::size_t a_step,
          std::size_t b_step, std::size_t, std::size_t) {
        const recurred_rows r{.tokens = tokens,
                              .channels = n,
                              .change = a,
                              .x = b,
                              .h = state,
                              .y = to,
                              .change_token = step(change),
                              .x_token = step(x),
                              .y_token = step(y),
                              .change_repeats = a_step == 0,
                              .x_repeats = b_step == 0};
        if constexpr (Adjoint)
          HWY_DYNAMIC_DISPATCH(recur_backward)(r);
        else
          HWY_DYNAMIC_DISPATCH(recur_forward)(r);
      },
      first(change), first(x), h, first(y));
}

}  // namespace

void recur(view<const float> change, view<const float> x, view<float> h, view<float> y) {
  scan_rows<false>(change, x, h, y);
}
void recur_adjoint(view<const float> change, view<const float> g, view<float> h, view<float> y) {
  scan_rows<true>(change, g, h, y);
}

}  // namespace alphaform::cpu
#endif

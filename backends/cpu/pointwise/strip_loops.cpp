#include <alphaform/backends/cpu/pointwise/strip_loops.hpp>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/pointwise/strip_loops.cpp"
// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
// clang-format on
#include <alphaform/backends/cpu/pointwise/operations-inl.hpp>
#include <alphaform/backends/cpu/pointwise/strips-inl.hpp>
#include <alphaform/backends/cpu/simd/exact_sum-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

template <class Operation, bool A>
void Unary(const float* a, const float*, const float*, float* y, std::size_t n) {
  const Tag d;
  OnStrips(
      d, [](auto... v) HWY_ATTR { return Operation::Of(v...); }, y, n, strip<A, Tag>(d, a));
}
template <class Operation, bool A, bool B>
void Binary(const float* a, const float* b, const float*, float* y, std::size_t n) {
  const Tag d;
  OnStrips(
      d, [](auto... v) HWY_ATTR { return Operation::Of(v...); }, y, n, strip<A, Tag>(d, a), strip<B, Tag>(d, b));
}
template <class Operation, bool A, bool B, bool C>
void Ternary(const float* a, const float* b, const float* c, float* y, std::size_t n) {
  const Tag d;
  OnStrips(
      d, [](auto... v) HWY_ATTR { return Operation::Of(v...); }, y, n, strip<A, Tag>(d, a), strip<B, Tag>(d, b),
      strip<C, Tag>(d, c));
}

template <class Operation>
strip_loop UnaryLoop(unsigned repeated) {
  return (repeated & 1) != 0 ? &Unary<Operation, true> : &Unary<Operation, false>;
}
template <class Operation>
strip_loop BinaryLoop(unsigned repeated) {
  static constexpr strip_loop loops[]{&Binary<Operation, false, false>, &Binary<Operation, true, false>,
                                      &Binary<Operation, false, true>, &Binary<Operation, true, true>};
  return loops[repeated & 3];
}
template <class Operation>
strip_loop TernaryLoop(unsigned repeated) {
  static constexpr strip_loop loops[]{&Ternary<Operation, false, false, false>, &Ternary<Operation, true, false, false>,
                                      &Ternary<Operation, false, true, false>,  &Ternary<Operation, true, true, false>,
                                      &Ternary<Operation, false, false, true>,  &Ternary<Operation, true, false, true>,
                                      &Ternary<Operation, false, true, true>,   &Ternary<Operation, true, true, true>};
  return loops[repeated & 7];
}

strip_loop Loop(pointwise::operation o, unsigned repeated) {
  switch (o) {
    case pointwise::operation::times:
      return BinaryLoop<times>(repeated);
    case pointwise::operation::plus:
      return BinaryLoop<plus>(repeated);
    case pointwise::operation::larger:
      return BinaryLoop<larger>(repeated);
    case pointwise::operation::times_plus:
      return TernaryLoop<times_plus>(repeated);
    case pointwise::operation::lost:
      return TernaryLoop<lost>(repeated);
    case pointwise::operation::inverse:
      return UnaryLoop<inverse>(repeated);
    case pointwise::operation::load:
    case pointwise::operation::number:
    case pointwise::operation::map:
    case pointwise::operation::scan:
    case pointwise::operation::scan_back:
    case pointwise::operation::states:
    case pointwise::operation::states_back:
      break;
  }
  return UnaryLoop<same>(repeated);
}

/// a h for change = a - 1 >= -1
template <class V>
HWY_INLINE two_floats<V> Decayed(V change, two_floats<V> h) {
  const V moved = hn::Mul(change, h.high), lost = hn::MulSub(change, h.high, moved);
  const V sum = hn::Add(h.high, moved), lost_in_sum = hn::Sub(moved, hn::Sub(sum, h.high));
  return {sum, hn::Add(hn::MulAdd(change, h.low, h.low), hn::Add(lost, lost_in_sum))};
}
template <class V>
HWY_INLINE two_floats<V> Increased(two_floats<V> h, V x) {
  const two_floats<V> sum = ExactSum(h.high, x);
  return {sum.high, hn::Add(h.low, sum.low)};
}
/// One step of a vector of places; y gets the result.
template <bool Backward, class V>
HWY_INLINE two_floats<V> Stepped(two_floats<V> h, V change, V x, V& y) {
  if constexpr (!Backward) h = Decayed(change, h);
  h = Increased(h, x);
  y = hn::Add(h.high, h.low);
  if constexpr (Backward) h = Decayed(change, h);
  return h;
}

template <bool Backward>
void Scan(const float* change, const float* x, const strip_states& s, float* y) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d), n = s.row, rows = s.rows;
  float *const high = s.high, *const low = s.low;
  const std::span<const float* const> soon = s.soon;
  const std::size_t begin = s.soon_begin, fetched = s.soon_end - begin;
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    two_floats<Vector> h{hn::LoadU(d, high + i), hn::LoadU(d, low + i)};
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t at = r * n + i;
      if (at - begin < fetched)
        for (const float* const p : soon) hwy::Prefetch(p + at);
      Vector result;
      h = Stepped<Backward>(h, hn::LoadU(d, change + at), hn::LoadU(d, x + at), result);
      hn::StoreU(result, d, y + at);
    }
    hn::StoreU(h.high, d, high + i);
    hn::StoreU(h.low, d, low + i);
  }
  if (i == n) return;
  two_floats<Vector> h{LoadFirst(d, high + i, n - i), LoadFirst(d, low + i, n - i)};
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t at = r * n + i;
    Vector result;
    h = Stepped<Backward>(h, LoadFirst(d, change + at, n - i), LoadFirst(d, x + at, n - i), result);
    StoreFirst(result, d, y + at, n - i);
  }
  StoreFirst(h.high, d, high + i, n - i);
  StoreFirst(h.low, d, low + i, n - i);
}
scan_loop ScanLoop(bool backward) { return backward ? &Scan<true> : &Scan<false>; }

void Stream(const float* x, float* y, std::size_t n) {
  const Tag d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) hn::Stream(hn::LoadU(d, x + i), d, y + i);
}
stream_loop StreamLoop() { return &Stream; }

/// Whole vectors are stored, each row over what the one before wrote too much.
void Spread(const float* x, std::ptrdiff_t row_step, std::ptrdiff_t step, std::size_t rows, std::size_t n, float* y) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t r = 0; r < rows; ++r, x += row_step, y += n) {
    if (step == 0) {
      const Vector v = hn::Set(d, *x);
      for (std::size_t i = 0; i < n; i += lanes) hn::StoreU(v, d, y + i);
    } else if (step == 1) {
      std::size_t i = 0;
      for (; i + lanes <= n; i += lanes) hn::StoreU(hn::LoadU(d, x + i), d, y + i);
      if (i < n) hn::StoreU(LoadFirst(d, x + i, n - i), d, y + i);
    } else {
      for (std::size_t i = 0; i < n; ++i) y[i] = x[static_cast<std::ptrdiff_t>(i) * step];
    }
  }
}
spread_loop SpreadLoop() { return &Spread; }

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {

HWY_EXPORT(Loop);
HWY_EXPORT(ScanLoop);
HWY_EXPORT(StreamLoop);
HWY_EXPORT(SpreadLoop);

strip_loop loop_of(pointwise::operation o, unsigned repeated) { return HWY_DYNAMIC_DISPATCH(Loop)(o, repeated); }
scan_loop loop_of_scan(bool backward) { return HWY_DYNAMIC_DISPATCH(ScanLoop)(backward); }
stream_loop loop_of_stream() { return HWY_DYNAMIC_DISPATCH(StreamLoop)(); }
spread_loop loop_of_spread() { return HWY_DYNAMIC_DISPATCH(SpreadLoop)(); }

}  // namespace alphaform::cpu
#endif

#include <alphaform/backends/cpu/pointwise/strip_loops.hpp>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/pointwise/strip_loops.cpp"
// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
// clang-format on
#include <alphaform/backends/cpu/pointwise/strips-inl.hpp>
#include <alphaform/backends/cpu/simd/math-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

struct times {
  static HWY_INLINE Vector Of(Tag, Vector a, Vector b) { return hn::Mul(a, b); }
};
struct plus {
  static HWY_INLINE Vector Of(Tag, Vector a, Vector b) { return hn::Add(a, b); }
};
struct larger {
  static HWY_INLINE Vector Of(Tag d, Vector a, Vector b) { return Larger(d, a, b); }
};
struct times_plus {
  static HWY_INLINE Vector Of(Tag, Vector a, Vector b, Vector c) { return hn::MulAdd(a, b, c); }
};
/// Where the processor has no fused multiply-add, by halves of a and b whose products are exact (Dekker 1971).
struct lost {
  static HWY_INLINE Vector Of(Tag d, Vector a, Vector b, Vector c) {
#if HWY_NATIVE_FMA
    static_cast<void>(d);
    return hn::MulSub(a, b, c);
#else
    const Vector splitter = hn::Set(d, 4097.0f);
    const auto high = [=](Vector v) HWY_ATTR {
      const Vector wide = hn::Mul(v, splitter);
      return hn::Sub(wide, hn::Sub(wide, v));
    };
    const Vector a_high = high(a), b_high = high(b), a_low = hn::Sub(a, a_high), b_low = hn::Sub(b, b_high);
    const Vector rest = hn::Add(hn::Sub(hn::Mul(a_high, b_high), c), hn::Mul(a_high, b_low));
    return hn::Add(hn::Add(rest, hn::Mul(a_low, b_high)), hn::Mul(a_low, b_low));
#endif
  }
};
struct inverse {
  static HWY_INLINE Vector Of(Tag d, Vector a) {
    return hn::IfThenZeroElse(hn::Eq(a, hn::Zero(d)), hn::Div(hn::Set(d, 1.0f), a));
  }
};
struct same {
  static HWY_INLINE Vector Of(Tag, Vector a) { return a; }
};

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
      break;
  }
  return UnaryLoop<same>(repeated);
}

/// Whole vectors are stored, each row over what the one before wrote too much.
void Spread(const float* x, std::size_t row_step, std::size_t step, std::size_t rows, std::size_t n, float* y) {
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
      for (std::size_t i = 0; i < n; ++i) y[i] = x[i * step];
    }
  }
}
spread_loop SpreadLoop() { return &Spread; }

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {

HWY_EXPORT(Loop);
HWY_EXPORT(SpreadLoop);

strip_loop loop_of(pointwise::operation o, unsigned repeated) { return HWY_DYNAMIC_DISPATCH(Loop)(o, repeated); }
spread_loop loop_of_spread() { return HWY_DYNAMIC_DISPATCH(SpreadLoop)(); }

}  // namespace alphaform::cpu
#endif

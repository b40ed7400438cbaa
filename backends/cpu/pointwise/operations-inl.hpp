// Pointwise operations on vectors.

// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/highway.h>
// clang-format on

#if defined(ALPHAFORM_CPU_POINTWISE_OPERATIONS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_POINTWISE_OPERATIONS_INL
#undef ALPHAFORM_CPU_POINTWISE_OPERATIONS_INL
#else
#define ALPHAFORM_CPU_POINTWISE_OPERATIONS_INL
#endif

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

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target

// Pointwise functions of float vectors for code that is compiled once for every instruction set, each within 2 units in
// the last place (softplus 2.5 without fused multiply-add). Coefficients are minimax fits, rounded one after the other.
// What would be below 2^-126 may become 0.
#include <cmath>
#include <limits>
// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/highway.h>
// clang-format on

#if defined(ALPHAFORM_CPU_SIMD_MATH) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_MATH
#undef ALPHAFORM_CPU_SIMD_MATH
#else
#define ALPHAFORM_CPU_SIMD_MATH
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
#define ALPHAFORM_SECOND_NAN 1  // minps and maxps return their second operand if one is NaN
#else
#define ALPHAFORM_SECOND_NAN 0
#endif

/// min(x, bound) and max(x, bound) that keep a NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AtMost(D d, V x, float bound) {
#if ALPHAFORM_SECOND_NAN
  return hn::Min(hn::Set(d, bound), x);
#else
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, bound)), hn::Set(d, bound), x);
#endif
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AtLeast(D d, V x, float bound) {
#if ALPHAFORM_SECOND_NAN
  return hn::Max(hn::Set(d, bound), x);
#else
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, bound)), hn::Set(d, bound), x);
#endif
}
/// The larger as std::max takes it: a unless a < b.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Larger(D, V a, V b) {
#if ALPHAFORM_SECOND_NAN
  return hn::Max(b, a);
#else
  return hn::IfThenElse(hn::Lt(a, b), b, a);
#endif
}
#undef ALPHAFORM_SECOND_NAN

/// c[0] + c[2] square + ...: every other coefficient.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Alternate(D d, V, float c) {
  return hn::Set(d, c);
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Alternate(D d, V, float c, float) {
  return hn::Set(d, c);
}
template <class D, class V = hn::Vec<D>, class... C>
HWY_INLINE V Alternate(D d, V square, float c, float, C... higher) {
  return hn::MulAdd(Alternate(d, square, higher...), square, hn::Set(d, c));
}
/// c[0] + c[1] x + ... for square = x^2, even and odd powers side by side: half as long a chain of dependent steps.
template <class D, class V = hn::Vec<D>, class... C>
HWY_INLINE V Polynomial(D d, V x, V square, float c, C... higher) {
  return hn::MulAdd(Alternate(d, square, higher...), x, Alternate(d, square, c, higher...));
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Horner(D d, V, float c) {
  return hn::Set(d, c);
}
template <class D, class V = hn::Vec<D>, class... C>
HWY_INLINE V Horner(D d, V x, float c, C... higher) {
  return hn::MulAdd(Horner(d, x, higher...), x, hn::Set(d, c));
}

/// x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 2^23 rounds, and leaves n + Bias in the last bits of `sum`.
template <class V>
struct reduced {
  V r, n, sum;
};
template <int Bias, class D, class V = hn::Vec<D>>
HWY_INLINE reduced<V> Reduce(D d, V x) {
  const V rounder = hn::Set(d, 0x1.8p23f + Bias);
  const V sum = hn::MulAdd(x, hn::Set(d, 1.44269504f), rounder);
  const V n = hn::Sub(sum, rounder);
  const V high = hn::NegMulAdd(n, hn::Set(d, 0x1.63p-1f), x);  // n times so few bits is exact
  return {hn::NegMulAdd(n, hn::Set(d, -0x1.bd0106p-13f), high), n, sum};
}
/// A float of which the last bits of `sum` are the exponent: 2^(n + Bias - 127).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Power(D d, V sum) {
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(hn::RebindToSigned<D>(), sum)));
}
/// exp(r) - 1 for |r| <= ln 2 / 2.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Change(D d, V r) {
  const V square = hn::Mul(r, r);
  const V first = hn::MulAdd(hn::Set(d, 0x1.5554b4p-3f), r, hn::Set(d, 0x1.fffffep-2f));
  const V second = hn::MulAdd(hn::Set(d, 0x1.12254ap-7f), r, hn::Set(d, 0x1.5556f2p-5f));
  const V third = hn::MulAdd(hn::Set(d, 0x1.6b9c68p-10f), square, second);
  return hn::MulAdd(hn::MulAdd(third, square, first), square, r);
}

#if HWY_TARGET == HWY_AVX3
/// exp(x) for |x| <= 2^17: a step of ln 2 / 16 and a table of 2^(k/16) in one register; the scaling saturates.
HWY_INLINE hn::Vec512<float> ExpSaturating(hn::Full512<float> d, hn::Vec512<float> x) {
  using V = hn::Vec512<float>;
  alignas(64) static constexpr float table[16] = {0x1.000000p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f,
                                                  0x1.306fe0p+0f, 0x1.3dea64p+0f, 0x1.4bfdaep+0f, 0x1.5ab07ep+0f,
                                                  0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f,
                                                  0x1.ae89fap+0f, 0x1.c199bep+0f, 0x1.d5818ep+0f, 0x1.ea4afap+0f};
  const V rounder = hn::Set(d, 0x1.8p19f), sum = hn::MulAdd(x, hn::Set(d, 1.44269504f), rounder);
  const V n = hn::Sub(sum, rounder);
  const V r = hn::NegMulAdd(n, hn::Set(d, -0x1.bd0106p-13f), hn::NegMulAdd(n, hn::Set(d, 0x1.63p-1f), x));
  const V q = hn::MulAdd(hn::Set(d, 0x1.55559ap-3f), r, hn::Set(d, 0x1.000220p-1f));
  const V change = hn::MulAdd(q, hn::Mul(r, r), r);
  const V step{_mm512_permutexvar_ps(_mm512_castps_si512(sum.raw), hn::Load(d, table).raw)};
  return V{_mm512_scalef_ps(hn::MulAdd(step, change, step).raw, n.raw)};
}
#endif

/// exp(x) for -88.1 <= x <= 88 by the polynomial alone.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpByPolynomial(D d, V x) {
  const reduced<V> parts = Reduce<127>(d, x);
  return hn::Mul(hn::Add(Change(d, parts.r), hn::Set(d, 1.0f)), Power(d, parts.sum));
}
/// exp(x) for -87 <= x <= 88; other arguments give nonsense, but NaN stays NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpBounded(D d, V x) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (hn::MaxLanes(D()) == 16) return ExpSaturating(d, x);
#endif
  return ExpByPolynomial(d, x);
}
/// exp(x) for x <= 0, -infinity among them.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpNonpositive(D d, V x) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (hn::MaxLanes(D()) == 16) return ExpSaturating(d, AtLeast(d, x, -104.0f));
#endif
  return ExpByPolynomial(d, AtLeast(d, x, -88.1f));  // where the power is 0
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp(D d, V x) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (hn::MaxLanes(D()) == 16) return ExpSaturating(d, AtMost(d, AtLeast(d, x, -104.0f), 89.0f));
#endif
  const hn::RebindToSigned<D> di;
  const reduced<V> parts = Reduce<0>(d, x);
  const auto mantissa = hn::BitCast(di, hn::Add(Change(d, parts.r), hn::Set(d, 1.0f)));
  const V y = hn::BitCast(d, hn::Add(mantissa, hn::BitCast(di, Power(d, parts.sum))));
  const V overflow = hn::Add(x, hn::Set(d, std::numeric_limits<float>::infinity()));  // or NaN
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.33654f)),
                            hn::IfThenElse(hn::Le(x, hn::Set(d, 88.72283f)), y, overflow));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Expm1(D d, V x) {
  const reduced<V> parts = Reduce<126>(d, AtMost(d, AtLeast(d, x, -18.0f), 89.0f));
  const V change = Change(d, parts.r);
  const V half = Power(d, parts.sum);  // half of 2^n, which may be 2^128
  const V y = hn::MulAdd(half, change, hn::Sub(half, hn::Set(d, 0.5f)));
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0x1p-25f)), x, hn::Add(y, y));
}

/// k ln 2 + log(1 + f) for 1 + f from sqrt(1/2) to sqrt(2).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LogOfParts(D d, V k, V f) {
  const V square = hn::Mul(f, f);
  const V q = Polynomial(d, f, square, 0x1.555554p-2f, -0x1.000226p-2f, 0x1.99a01ap-3f, -0x1.547286p-3f, 0x1.22d95ep-3f,
                         -0x1.0d82aap-3f, 0x1.055db4p-3f, -0x1.38c4fcp-4f);
  const V bend = hn::Mul(square, hn::MulAdd(q, f, hn::Set(d, -0.5f)));
  const V low = hn::MulAdd(k, hn::Set(d, -0x1.bd0106p-13f), bend);
  return hn::MulAdd(k, hn::Set(d, 0x1.63p-1f), hn::Add(f, low));
}
/// x = 2^k (1 + f), x > 0 normal.
template <class V, class I>
struct exponent_and_rest {
  I k;
  V f;
};
template <class D, class V = hn::Vec<D>>
HWY_INLINE auto SplitExponent(D d, V x) {
  const hn::RebindToSigned<D> di;
  const auto bits = hn::BitCast(di, x);
  const auto k = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3f3504f3)));  // from the bits of sqrt(1/2)
  const V mantissa = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(k)));
  return exponent_and_rest<V, decltype(k)>{k, hn::Sub(mantissa, hn::Set(d, 1.0f))};
}
/// `y` where 0 < x < inf; -inf, inf and NaN elsewhere.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LogAtEdges(D d, V x, V y) {
  const V inf = hn::Set(d, std::numeric_limits<float>::infinity()), zero = hn::Zero(d);
  const V below = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(inf), hn::Set(d, std::numeric_limits<float>::quiet_NaN()));
  return hn::IfThenElse(hn::Gt(x, zero), hn::IfThenElse(hn::Lt(x, inf), y, x), below);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log(D d, V x) {
  const auto denormal = hn::Lt(x, hn::Set(d, 0x1p-126f));
  const auto parts = SplitExponent(d, hn::IfThenElse(denormal, hn::Mul(x, hn::Set(d, 0x1p25f)), x));
  const V k = hn::ConvertTo(d, parts.k);
  const V lifted = hn::Sub(k, hn::IfThenElseZero(denormal, hn::Set(d, 25.0f)));
  return LogAtEdges(d, x, LogOfParts(d, lifted, parts.f));
}

/// log(1 + x) for finite x > -1: what rounding 1 + x lost is put back.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pInside(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V one = hn::Set(d, 1.0f), u = hn::Add(x, one), lost = hn::Sub(x, hn::Sub(u, one));
  const auto parts = SplitExponent(d, u);
  const V scale = hn::BitCast(d, hn::ShiftLeft<23>(hn::Sub(hn::Set(di, 127), parts.k)));  // 2^-k; 0 where lost is 0
  return LogOfParts(d, hn::ConvertTo(d, parts.k), hn::MulAdd(lost, scale, parts.f));
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1p(D d, V x) {
  return hn::CopySign(LogAtEdges(d, hn::Add(x, hn::Set(d, 1.0f)), Log1pInside(d, x)), x);
}

/// 2^8 numerator / (1 + exp(-x)), and 0 below x = -92. All but the result carries a factor 2^-8, as silu is not yet 0
/// where exp(-x) overflows. What rounding 1 + 2^n (1 + change) lost is put back after the division.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LogisticPart(D d, V x, V numerator) {
  [[maybe_unused]] const hn::RebindToSigned<D> di;
  const V unit = hn::Set(d, 0x1p-8f);
  const reduced<V> parts = Reduce<127 - 8>(d, hn::Neg(AtMost(d, AtLeast(d, x, -93.0f), 80.0f)));
  const V change = Change(d, parts.r);
  const V power = Power(d, parts.sum), sum = hn::Add(unit, power);
  const V denominator = hn::MulAdd(power, change, sum);
  const V lost = hn::Add(hn::MulAdd(power, change, hn::Sub(sum, denominator)), hn::Sub(unit, hn::Sub(sum, power)));
#if HWY_TARGET == HWY_AVX3
  // A division takes as long as all of the rest: one step of Newton, and the remainder put back.
  const V close = hn::ApproximateReciprocal(denominator);
  const V inverse = hn::MulAdd(close, hn::NegMulAdd(denominator, close, hn::Set(d, 1.0f)), close);
  const V y = hn::Mul(numerator, inverse);
  const V remainder = hn::NegMulAdd(y, lost, hn::NegMulAdd(y, denominator, numerator));
  const V whole = hn::MulAdd(remainder, inverse, y);
#else
  const V y = hn::Div(numerator, denominator);
  // 1 / denominator to an eighth
  const V inverse = hn::BitCast(d, hn::Sub(hn::Set(di, 0x7ef311c7), hn::BitCast(di, denominator)));
  const V whole = hn::NegMulAdd(y, hn::Mul(lost, inverse), y);
#endif
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -92.0f)), whole);
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sigmoid(D d, V x) {
  return LogisticPart(d, x, hn::Set(d, 0x1p-8f));
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Silu(D d, V x) {
  const V y = hn::Mul(LogisticPart(d, x, x), hn::Set(d, 0x1p-8f));
  return hn::CopySign(hn::IfThenElse(hn::Gt(x, hn::Set(d, 80.0f)), x, y), x);
}
/// max(x, 0) + log(1 + f) for f = exp(-|x|), as a polynomial in f.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Softplus(D d, V x) {
  const V f = ExpNonpositive(d, hn::Neg(hn::Abs(x))), square = hn::Mul(f, f);
  const V low = Horner(d, f, -0x1.fffff8p-2f, 0x1.5553b6p-2f, -0x1.ffc59ep-3f, 0x1.978b54p-3f);
  const V high =
      Horner(d, f, -0x1.4a72b2p-3f, 0x1.ff28d8p-4f, -0x1.54f16cp-4f, 0x1.58ff44p-5f, -0x1.c0a200p-7f, 0x1.113634p-9f);
  const V q = hn::MulAdd(high, hn::Mul(square, square), low);
  return hn::Add(AtLeast(d, x, 0.0f), hn::MulAdd(q, square, f));
}
/// An odd polynomial near 0, else 1 - 2 / (1 + exp(2 |x|)).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Tanh(D d, V x) {
  const V one = hn::Set(d, 1.0f), z = hn::Abs(x), square = hn::Mul(z, z), bounded = AtMost(d, z, 10.0f);
  const V p = Horner(d, square, -0x1.55554ap-2f, 0x1.110d26p-3f, -0x1.b9287ap-5f, 0x1.593d08p-6f, -0x1.9b3046p-8f);
  const V near = hn::MulAdd(hn::Mul(square, z), p, z);
  const V far = hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(one, ExpBounded(d, hn::Add(bounded, bounded)))));
  return hn::CopySign(hn::IfThenElse(hn::Lt(z, hn::Set(d, 0.55f)), near, far), x);
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Rsqrt(D d, V x) {
  return hn::Div(hn::Set(d, 1.0f), hn::Sqrt(x));
}

/// sin(x + Quarters pi/2) for |x| <= 10^4 by quadrants; farther out one number at a time with `exactly`.
template <int Quarters, class D, class V = hn::Vec<D>>
HWY_INLINE V Circle(D d, V x, float (*exactly)(float)) {
  const hn::RebindToSigned<D> di;
  const V rounder = hn::Set(d, 0x1.8p23f), sum = hn::MulAdd(x, hn::Set(d, 0.636619772f), rounder);
  const V n = hn::Sub(sum, rounder);
  // pi/2 in parts of 11 bits, whose products with n are exact, and a last one
  const V high = hn::NegMulAdd(n, hn::Set(d, 0x1.92p0f), x);
  const V middle = hn::NegMulAdd(n, hn::Set(d, 0x1.fb4p-12f), high);
  const V third = hn::Set(d, 0x1.444p-24f), low = hn::NegMulAdd(n, third, middle);
  const V lost = hn::NegMulAdd(n, third, hn::Sub(middle, low));
  const V r = hn::Add(low, hn::NegMulAdd(n, hn::Set(d, 0x1.68c234p-39f), lost)), square = hn::Mul(r, r);
  const V sine = hn::MulAdd(hn::Mul(square, r),
                            Horner(d, square, -0x1.555556p-3f, 0x1.111108p-7f, -0x1.a00f82p-13f, 0x1.6cd294p-19f), r);
  const V cosine =
      hn::MulAdd(hn::Mul(square, square), Horner(d, square, 0x1.55554ap-5f, -0x1.6c0c36p-10f, 0x1.99ec64p-16f),
                 hn::NegMulAdd(square, hn::Set(d, 0.5f), hn::Set(d, 1.0f)));
  const auto quadrant = hn::Add(hn::BitCast(di, sum), hn::Set(di, Quarters)), one = hn::Set(di, 1);
  const auto odd = hn::RebindMask(d, hn::Eq(hn::And(quadrant, one), one));
  const V sign = hn::BitCast(d, hn::ShiftLeft<31>(hn::ShiftRight<1>(quadrant)));
  V y = hn::Xor(hn::IfThenElse(odd, cosine, sine), sign);
  if (Quarters == 0) y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y);  // the sign of -0
  const auto far = hn::Not(hn::Le(hn::Abs(x), hn::Set(d, 1e4f)));
  if (HWY_LIKELY(hn::AllFalse(d, far))) return y;
  HWY_ALIGN float at[hn::MaxLanes(d)];
  hn::Store(x, d, at);
  for (float& number : at) number = exactly(number);
  return hn::IfThenElse(far, hn::Load(d, at), y);
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sin(D d, V x) {
  return Circle<0>(d, x, [](float a) { return std::sin(a); });
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Cos(D d, V x) {
  return Circle<1>(d, x, [](float a) { return std::cos(a); });
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target

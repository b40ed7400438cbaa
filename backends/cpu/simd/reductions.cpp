#include <alphaform/backends/cpu/simd/reductions.hpp>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/simd/reductions.cpp"
// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
// clang-format on
#include <alphaform/backends/cpu/pointwise/strips-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// Sixteen partial sums, whatever the vectors: results are the same on every processor with as exact additions.
using Few = hn::CappedTag<float, 16>;

float Sum(std::size_t n, const float* x, bool absolute) {
  const Few d;
  constexpr std::size_t partial = 16;
  const std::size_t lanes = hn::Lanes(d), whole = n / partial * partial;
  HWY_ALIGN float sums[partial];
  for (std::size_t k = 0; k < partial; k += lanes) {
    auto sum = hn::Zero(d);
    for (std::size_t i = k; i < whole; i += partial) {
      const auto v = hn::LoadU(d, x + i);
      sum = hn::Add(sum, absolute ? hn::Abs(v) : v);
    }
    hn::Store(sum, d, sums + k);
  }
  for (std::size_t i = whole; i < n; ++i) sums[0] += absolute && x[i] < 0 ? -x[i] : x[i];
  for (std::size_t half = partial / 2; half > 0; half /= 2)
    for (std::size_t k = 0; k < half; ++k) sums[k] += sums[k + half];
  return sums[0];
}

template <bool U, bool V>
bool Within(std::size_t n, const float* u, const float* v, float least) {
  const hn::ScalableTag<float> d;
  using D = decltype(d);
  const std::size_t lanes = hn::Lanes(d);
  const strip<U, std::remove_const_t<D>> a(d, u);
  const strip<V, std::remove_const_t<D>> b(d, v);
  const auto zero = hn::Zero(d), one = hn::Set(d, 1.0f), low = hn::Set(d, least);
  auto outside = zero;  // 1 where some product was
  const auto look = [&](auto product) HWY_ATTR {
    outside = hn::IfThenElse(hn::Or(hn::Gt(product, zero), hn::Lt(product, low)), one, outside);
  };
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) look(hn::Mul(a.Load(d, i), b.Load(d, i)));
  if (i < n)
    look(hn::IfThenElseZero(hn::FirstN(d, n - i), hn::Mul(a.LoadFirst(d, i, n - i), b.LoadFirst(d, i, n - i))));
  return hn::AllTrue(d, hn::Eq(outside, zero));
}
bool Fades(std::size_t n, const float* u, std::size_t u_step, const float* v, std::size_t v_step, float least) {
  if (u_step == 0) return v_step == 0 ? Within<true, true>(1, u, v, least) : Within<true, false>(n, u, v, least);
  return v_step == 0 ? Within<false, true>(n, u, v, least) : Within<false, false>(n, u, v, least);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {

HWY_EXPORT(Sum);
HWY_EXPORT(Fades);

float sum(std::size_t n, const float* x, bool absolute) { return HWY_DYNAMIC_DISPATCH(Sum)(n, x, absolute); }
bool fades(std::size_t n, const float* u, std::size_t u_step, const float* v, std::size_t v_step, float least) {
  return HWY_DYNAMIC_DISPATCH(Fades)(n, u, u_step, v, v_step, least);
}

}  // namespace alphaform::cpu
#endif

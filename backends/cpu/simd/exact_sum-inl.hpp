// Sums of two floats with what rounding loses of them.
#if defined(ALPHAFORM_CPU_SIMD_EXACT_SUM_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_EXACT_SUM_INL
#undef ALPHAFORM_CPU_SIMD_EXACT_SUM_INL
#else
#define ALPHAFORM_CPU_SIMD_EXACT_SUM_INL
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class V>
struct two_floats {
  V high, low;
};
/// high + low = a + b exactly, high is the rounded sum. @see Knuth, The Art of Computer Programming 2, Sec. 4.2.2
template <class V>
HWY_INLINE two_floats<V> ExactSum(V a, V b) {
  const V sum = hn::Add(a, b), of_b = hn::Sub(sum, a);
  return {sum, hn::Add(hn::Sub(a, hn::Sub(sum, of_b)), hn::Sub(b, of_b))};
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

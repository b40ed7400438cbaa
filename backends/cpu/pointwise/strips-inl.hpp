// Loops over an array in whole vectors. What is left at the end goes through the same instructions, so that a number's
// result does not depend on its place in the array.

// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/highway.h>
// clang-format on

#if defined(ALPHAFORM_CPU_SIMD_STRIPS) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_STRIPS
#undef ALPHAFORM_CPU_SIMD_STRIPS
#else
#define ALPHAFORM_CPU_SIMD_STRIPS
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The n < Lanes(d) numbers at p, and 0 in the other lanes.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LoadFirst(D d, const float* p, std::size_t n) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2  // masked loads touch nothing outside the mask
  return hn::MaskedLoad(hn::FirstN(d, n), d, p);
#else
  HWY_ALIGN float padded[hn::MaxLanes(d)] = {};
  for (std::size_t i = 0; i < n; ++i) padded[i] = p[i];
  return hn::Load(d, padded);
#endif
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE void StoreFirst(V v, D d, float* p, std::size_t n) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, n), d, p);
#else
  HWY_ALIGN float padded[hn::MaxLanes(d)];
  hn::Store(v, d, padded);
  for (std::size_t i = 0; i < n; ++i) p[i] = padded[i];
#endif
}

/// An argument of a loop: an array, or one number for all places.
template <bool Repeated, class D>
struct strip final {
  strip(D d, const float* p) : first(p) {
    if constexpr (Repeated) all = hn::Set(d, *p);
  }
  HWY_INLINE hn::Vec<D> Load(D d, std::size_t i) const {
    if constexpr (Repeated)
      return all;
    else
      return hn::LoadU(d, first + i);
  }
  HWY_INLINE hn::Vec<D> LoadFirst(D d, std::size_t i, std::size_t n) const {
    if constexpr (Repeated)
      return all;
    else
      return HWY_NAMESPACE::LoadFirst(d, first + i, n);
  }
  const float* first;
  hn::Vec<D> all;
};

/// y = f(d, arguments ...), n places; y may be an argument.
template <class F, class D, class... Strip>
HWY_INLINE void OnStrips(D d, F f, float* y, std::size_t n, const Strip&... x) {
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, x.Load(d, i)...), d, y + i);
  if (i < n) StoreFirst(f(d, x.LoadFirst(d, i, n - i)...), d, y + i, n - i);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target

// Powers of 2^(1/16) from one register of 16 floats.
#if defined(ALPHAFORM_CPU_SIMD_SIXTEENTHS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_SIMD_SIXTEENTHS_INL
#undef ALPHAFORM_CPU_SIMD_SIXTEENTHS_INL
#else
#define ALPHAFORM_CPU_SIMD_SIXTEENTHS_INL
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3
/// Added to a number of sixteenths it leaves the nearest whole number of them, and a bias of exponents, in the lowest
/// bits.
template <int Bias>
inline constexpr float to_sixteenths = 0x1.8p19f + Bias;

/// 2^(n / 16 - 127) for a sum of which the lowest bits are n.
HWY_INLINE hn::Vec512<float> PowerOfSixteenths(hn::Full512<float> d, hn::Vec512<float> sum) {
  // The bits of 2^(k/16) less those of 1 + k/16.
  alignas(64) static constexpr std::uint32_t bent[16] = {
      0x0,        0xfffdaac3, 0xfffb95c2, 0xfff9c3d3, 0xfff837f0, 0xfff6f532, 0xfff5fed7, 0xfff5583f,
      0xfff504f3, 0xfff508a4, 0xfff5672a, 0xfff6248c, 0xfff744fd, 0xfff8ccdf, 0xfffac0c7, 0xfffd257d};
  const hn::Full512<std::uint32_t> bits;
  const auto n = hn::BitCast(bits, sum);
  const hn::Vec512<std::uint32_t> bend{_mm512_permutexvar_epi32(n.raw, hn::Load(bits, bent).raw)};
  return hn::BitCast(d, hn::Add(hn::ShiftLeft<19>(n), bend));
}
#endif

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

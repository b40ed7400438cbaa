// What the parts of a map have in common: channels and decays as vectors. Included once for each set of instructions.
#include <hwy/cache_control.h>

#include <alphaform/backends/cpu/maps/triangle.hpp>
#include <alphaform/backends/cpu/simd/math-inl.hpp>

#if defined(ALPHAFORM_CPU_MAPS_VECTORS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_MAPS_VECTORS_INL
#undef ALPHAFORM_CPU_MAPS_VECTORS_INL
#else
#define ALPHAFORM_CPU_MAPS_VECTORS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using map_lanes = hn::CappedTag<float, 16>;
using map_vector = hn::Vec<map_lanes>;
constexpr std::size_t most_lanes = 16;
constexpr float log2_of_e = 1.44269504f;

/// 2^(whole + rest) for |rest| <= 1/2; the last bits of `whole` + 1.5 2^23 are the exponent.
HWY_INLINE map_vector PowerOfParts(map_vector rest, map_vector whole) {
  const map_lanes d;
  const hn::RebindToSigned<map_lanes> di;
  map_vector y = hn::Set(d, 0x1.5bba14p-10f);  // a minimax polynomial, off by 9.1e-8 at most
  y = hn::MulAdd(y, rest, hn::Set(d, 0x1.3cea88p-7f));
  y = hn::MulAdd(y, rest, hn::Set(d, 0x1.c6b752p-5f));
  y = hn::MulAdd(y, rest, hn::Set(d, 0x1.ebf9bcp-3f));
  y = hn::MulAdd(y, rest, hn::Set(d, 0x1.62e42ap-1f));
  y = hn::MulAdd(y, rest, hn::Set(d, 1.0f));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, y), hn::ShiftLeft<23>(hn::BitCast(di, whole))));
}
/// 2^x for x of at most 127; 0 below 2^-127.
HWY_INLINE map_vector PowerOfTwo(map_vector x) {
  const map_lanes d;
  const map_vector rounder = hn::Set(d, 0x1.8p23f), bounded = hn::Max(x, hn::Set(d, -127.0f));
  const map_vector sum = hn::Add(bounded, rounder);
  return PowerOfParts(hn::Sub(bounded, hn::Sub(sum, rounder)), sum);
}
/// 2^(s rate) for products from -126 to 127.
HWY_INLINE map_vector BoundedPowerOfTwo(map_vector s, map_vector rate) {
  const map_lanes d;
  const map_vector rounder = hn::Set(d, 0x1.8p23f), sum = hn::MulAdd(s, rate, rounder);
  return PowerOfParts(hn::MulSub(s, rate, hn::Sub(sum, rounder)), sum);
}

/// Calls f(i, vector) for the `count` channels from `c` on at tokens begin + i before `end`; lanes beyond hold any
/// finite numbers of the stream, or 0.
template <class F>
HWY_INLINE void EachToken(const view<const float>& x, std::size_t begin, std::size_t end, std::size_t c, std::size_t n,
                          std::size_t count, F f) {
  const map_lanes d;
  const std::size_t step = x.step(axis::chan), next = x.step(axis::token), tokens = end - begin;
  const float* p = x.data + begin * next + c * step + n * x.step(axis::state);
  if (step == 0) {
    for (std::size_t i = 0; i < tokens; ++i, p += next) f(i, hn::Set(d, *p));
  } else if (step == 1 && count >= hn::Lanes(d)) {
    for (std::size_t i = 0; i < tokens; ++i, p += next) f(i, hn::LoadU(d, p));
  } else {
    HWY_ALIGN float lane[most_lanes] = {};
    for (std::size_t i = 0; i < tokens; ++i, p += next) {
      for (std::size_t k = 0; k < std::min(count, hn::Lanes(d)); ++k) lane[k] = p[k * step];
      f(i, hn::Load(d, lane));
    }
  }
}
HWY_INLINE map_vector Channels(const view<const float>& x, std::size_t c, std::size_t n, std::size_t count) {
  map_vector y = hn::Zero(map_lanes());
  EachToken(x, 0, 1, c, n, count, [&y](std::size_t, map_vector v) HWY_ATTR { y = v; });
  return y;
}

/// Fetches what EachToken will read of the channels from `c` on: rows of tokens lie so far apart that nothing else
/// does.
HWY_INLINE void FetchTokens(const view<const float>& x, std::size_t begin, std::size_t end, std::size_t c) {
  const std::size_t next = x.step(axis::token);
  const float* p = x.data + begin * next + c * x.step(axis::chan);
  for (std::size_t t = begin; t < end; ++t, p += next) hwy::Prefetch(p);
}

/// The same for the binary logarithm of the decay, or for the stream that it is a multiple of.
template <class F>
HWY_INLINE void EachDecay(const maps::channels& m, std::size_t begin, std::size_t end, std::size_t c, std::size_t n,
                          std::size_t count, F f) {
  const map_lanes d;
  const recurrence<float>& core = m.of.core;
  if (core.logarithmic && core.decay.v.of(axis::token) == 1 && !m.sums_by_state)
    return EachToken(core.decay.u, begin, end, c, 0, count, f);
  const map_vector scale = hn::Set(d, log2_of_e), least = hn::Set(d, -1.0f);
  const bool logarithmic = core.logarithmic, varies = core.decay.v.of(axis::token) > 1;
  map_vector v = Channels(core.decay.v, c, n, count);
  EachToken(core.decay.u, begin, end, c, 0, count, [&](std::size_t i, map_vector u) HWY_ATTR {
    if (varies)
      EachToken(core.decay.v, begin + i, begin + i + 1, c, n, count,
                [&v](std::size_t, map_vector at) HWY_ATTR { v = at; });
    const map_vector x = hn::Mul(u, v);
    f(i, hn::Mul(logarithmic ? x : Log1p(d, hn::Max(x, least)), scale));
  });
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target

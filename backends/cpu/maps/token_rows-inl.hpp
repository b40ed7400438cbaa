// Rows of a panel as a matrix unit reads them: a word is two states of a channel, channels lie side by side.
// Included once for each set of instructions.
#include <alphaform/backends/cpu/maps/emission-inl.hpp>

#if defined(ALPHAFORM_CPU_MAPS_TOKEN_ROWS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_MAPS_TOKEN_ROWS_INL
#undef ALPHAFORM_CPU_MAPS_TOKEN_ROWS_INL
#else
#define ALPHAFORM_CPU_MAPS_TOKEN_ROWS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// 32 tokens of two states of 16 channels: two tiles of upper halves, two of lower ones.
struct tokens_of_two_states final {
  const float *factor, *sum;    ///< [token][channel]
  const float* v[2];            ///< [token], of each state
  const float *scale, *number;  ///< [state][channel]; numbers are what v is if it does not vary

  template <bool Varies>
  HWY_INLINE void Emit(float* to) const {
    if (IsBounded(0) && IsBounded(1))
      Tokens<Varies, true>(to);
    else
      Tokens<Varies, false>(to);
  }

 private:
  static constexpr std::size_t width = maps::unit_words;
  bool IsBounded(std::size_t state) const {
    const map_lanes d;
    const map_vector scales = hn::LoadU(d, scale + state * width), least = hn::Set(d, -125.0f);
    const auto above = [&](const float* at) HWY_ATTR { return hn::Ge(hn::Mul(hn::LoadU(d, at), scales), least); };
    return hn::AllTrue(d, hn::And(above(sum), above(sum + (leaf_tokens - 1) * width)));
  }
  template <bool Varies, bool Bounded>
  HWY_INLINE void Tokens(float* to) const {
    const map_lanes d;
    const map_vector scale0 = hn::LoadU(d, scale), scale1 = hn::LoadU(d, scale + width), number0 = hn::LoadU(d, number),
                     number1 = hn::LoadU(d, number + width);
    const float *const f = factor, *const s = sum, *const v0 = v[0], *const v1 = v[1];
    for (std::size_t half = 0; half < 2; ++half, to += maps::halves_tile)
      for (std::size_t i = 0; i < width; ++i) {
        const std::size_t t = half * width + i;
        const map_vector factors = hn::LoadU(d, f + t * width), sums = hn::LoadU(d, s + t * width);
        const map_vector even = hn::Mul(factors, Varies ? hn::Set(d, v0[t]) : number0),
                         odd = hn::Mul(factors, Varies ? hn::Set(d, v1[t]) : number1);
        const auto decay = [sums](map_vector scales) HWY_ATTR {
          if constexpr (Bounded) return BoundedPowerOfTwo(sums, scales);
          return PowerOfTwo(hn::Mul(sums, scales));
        };
        PutHalves(hn::Mul(even, decay(scale0)), hn::Mul(odd, decay(scale1)), to + i * width,
                  to + 2 * maps::halves_tile + i * width);
      }
  }
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target

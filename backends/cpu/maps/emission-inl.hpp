// One channel's lines of a panel: exponentials of summed decays times what is read or written, and the filter on them.
// Included once for each set of instructions.
#include <alphaform/backends/cpu/maps/panels.hpp>
#include <alphaform/backends/cpu/maps/vectors-inl.hpp>

#if defined(ALPHAFORM_CPU_MAPS_EMISSION_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_MAPS_EMISSION_INL
#undef ALPHAFORM_CPU_MAPS_EMISSION_INL
#else
#define ALPHAFORM_CPU_MAPS_EMISSION_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

using maps::leaf_tokens;

/// factor[t] v_n[t] 2^(scale_n sum[t]) for states n and tokens t; without v lines, v_n is one number.
struct emission final {
  const float *factor, *sum, *v;
  std::size_t v_length, states;
  const float *scale, *number;

  /// Calls put(i, vector) for `tokens` tokens of state n. Sums grow along them, so that all are between the outermost.
  template <bool Varies, class Put>
  HWY_INLINE void State(std::size_t n, std::size_t tokens, Put put) const {
    const std::size_t width = hn::Lanes(map_lanes()), end = (tokens + width - 1) / width * width;
    const float first = sum[0] * scale[n], last = sum[end - 1] * scale[n];
    if (first >= least && last >= least)
      Vectors<Varies, true>(n, end, put);
    else
      Vectors<Varies, false>(n, end, put);
  }

 private:
  static constexpr float least = -125;

  template <bool Varies, bool Bounded, class Put>
  HWY_INLINE void Vectors(std::size_t n, std::size_t end, Put put) const {
    const map_lanes d;
    const std::size_t width = hn::Lanes(d);
    const float *const f = factor, *const s = sum, *const line = v + n * v_length, rate = scale[n];
    const map_vector rates = hn::Set(d, rate), one_number = hn::Set(d, number[n]);
    for (std::size_t i = 0; i < end; i += width) {
      const map_vector sums = hn::LoadU(d, s + i);
      map_vector decay;
      if constexpr (Bounded) {
        decay = BoundedPowerOfTwo(sums, rates);
      } else {
        if (const float first = s[i] * rate, last = s[i + width - 1] * rate; first < -127.0f && last < -127.0f) {
          put(i, hn::Zero(d));
          continue;
        }
        decay = PowerOfTwo(hn::Mul(sums, rates));
      }
      put(i, hn::Mul(hn::Mul(hn::LoadU(d, f + i), Varies ? hn::LoadU(d, line + i) : one_number), decay));
    }
  }
};

/// `last` multiplies the magnitudes, and is 1 for numbers with a sign.
template <bool Magnitudes>
HWY_INLINE map_vector Finish(map_vector x, float last) {
  if constexpr (Magnitudes) return hn::Mul(hn::Abs(x), hn::Set(map_lanes(), last));
  return x;
}

/// Two numbers a word: their upper halves to `high`, what they lack to `low`.
HWY_INLINE void PutHalves(map_vector even, map_vector odd, float* high, float* low) {
  const map_lanes d;
  const hn::RebindToUnsigned<map_lanes> du;
  const auto bits = [du](map_vector v) HWY_ATTR { return hn::BitCast(du, v); };
  const auto half = hn::Set(du, 0x8000u), upper = hn::Set(du, 0xffff0000u);
  const auto e = hn::And(hn::Add(bits(even), half), upper), o = hn::And(hn::Add(bits(odd), half), upper);
  const map_vector even_rest = hn::Sub(even, hn::BitCast(d, e)), odd_rest = hn::Sub(odd, hn::BitCast(d, o));
  hn::Store(hn::BitCast(d, hn::Or(o, hn::ShiftRight<16>(e))), d, high);
  hn::Store(hn::BitCast(d, hn::Or(hn::And(hn::Add(bits(odd_rest), half), upper),
                                  hn::ShiftRight<16>(hn::Add(bits(even_rest), half)))),
            d, low);
}

/// Where one depth of a panel goes, 16 tokens at a time.
struct panel_depth final {
  float* panel;
  std::size_t pitch, depth;
  bool halves;
  std::size_t pair;  ///< depths from two states to the next two

  void Next() { depth += depth % 2 == 0 ? 1 : pair - 1; }

  HWY_INLINE void Put(std::size_t i, map_vector x) const {
    const map_lanes d;
    float* const group = panel + i / leaf_tokens * leaf_tokens * pitch;
    if (!halves) return hn::StoreU(x, d, group + depth * leaf_tokens + i % leaf_tokens);
    // The first of two depths waits where its lower halves will be.
    float* const high = maps::halves_at(group, depth, i % leaf_tokens);
    float* const low = high + 2 * maps::halves_tile;
    if (depth % 2 == 0) return hn::Store(x, d, low);
    PutHalves(hn::Load(d, low), x, high, low);
  }
};

template <bool Magnitudes, bool Varies>
HWY_INLINE void Emit(emission e, std::size_t tokens, float last, panel_depth to) {
  for (std::size_t n = 0; n < e.states; ++n, to.Next())
    e.State<Varies>(n, tokens, [=](std::size_t i, map_vector x) HWY_ATTR { to.Put(i, Finish<Magnitudes>(x, last)); });
}

/// The same through the filter: tap k multiplies what lies k tokens later. `Taps` is 0 for any number.
template <bool Magnitudes, bool Varies, std::size_t Taps>
HWY_INLINE void EmitFiltered(emission e, const float* tap, std::size_t taps, std::size_t tokens, float last,
                             float* line, panel_depth to) {
  const map_lanes d;
  const std::size_t width = hn::Lanes(d);
  const map_vector tap0 = hn::Set(d, tap[0]), tap1 = hn::Set(d, tap[1]), tap2 = hn::Set(d, tap[Taps == 4 ? 2 : 0]),
                   tap3 = hn::Set(d, tap[Taps == 4 ? 3 : 0]);
  for (std::size_t n = 0; n < e.states; ++n, to.Next()) {
    e.State<Varies>(n, tokens + taps - 1,
                    [d, line](std::size_t i, map_vector x) HWY_ATTR { hn::Store(x, d, line + i); });
    for (std::size_t i = 0; i < tokens; i += width) {
      map_vector y = hn::MulAdd(tap1, hn::LoadU(d, line + i + 1), hn::Mul(tap0, hn::Load(d, line + i)));
      if constexpr (Taps == 4)
        y = hn::MulAdd(tap3, hn::LoadU(d, line + i + 3), hn::MulAdd(tap2, hn::LoadU(d, line + i + 2), y));
      else
        for (std::size_t k = 2; k < taps; ++k) y = hn::MulAdd(hn::Set(d, tap[k]), hn::LoadU(d, line + i + k), y);
      to.Put(i, Finish<Magnitudes>(y, last));
    }
  }
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target

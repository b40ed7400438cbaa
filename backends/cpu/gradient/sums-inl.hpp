// The sums of a gradient over a block of tokens, for some states of one vector of channels, from buffers
// [step, state, lane] of what is summed.
#if defined(ALPHAFORM_CPU_GRADIENT_SUMS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_GRADIENT_SUMS_INL
#undef ALPHAFORM_CPU_GRADIENT_SUMS_INL
#else
#define ALPHAFORM_CPU_GRADIENT_SUMS_INL
#endif

#include <alphaform/backends/cpu/gradient/steps-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// What is summed: x, or x y, or x and what is written, the factor y of a step and narrow b of a state.
struct summand final {
  enum class kind : std::uint8_t { one, product, moved };
  kind is;
  const float *x, *y;
  state_factor b;
};
template <summand::kind Kind, std::size_t States>
HWY_INLINE vec summed(const summand& q, std::size_t i, std::size_t n) {
  const lanes d;
  const std::size_t at = (i * States + n) * width;
  const vec x = hn::Load(d, q.x + at);
  if constexpr (Kind == summand::kind::one)
    return x;
  else if constexpr (Kind == summand::kind::product)
    return hn::Mul(x, hn::Load(d, q.y + at));
  else
    return hn::MulAdd(factor_at<false>(q.b, i, n), hn::Load(d, q.y + i * width), x);
}

/// sums [step, lane] += sum over the states of v q; what is first does not ask for what was there
template <summand::kind Kind, bool Wide, bool First, std::size_t... N>
HWY_NOINLINE void sum_states(std::size_t count, summand q, state_factor v, float* sums, std::index_sequence<N...>) {
  const lanes d;
  for (std::size_t i = 0; i < count; ++i) {
    vec sum = First ? hn::Zero(d) : hn::Load(d, sums + i * width);
    ((sum = hn::MulAdd(summed<Kind, sizeof...(N)>(q, i, N), factor_at<Wide>(v, i, N), sum)), ...);
    hn::Store(sum, d, sums + i * width);
  }
}
/// sums [step, state, lane] += u q, times v if that is wide
template <summand::kind Kind, bool Wide, bool First, std::size_t... N>
HWY_NOINLINE void add_channels(std::size_t count, summand q, const float* u, state_factor v, float* sums,
                               std::index_sequence<N...>) {
  const lanes d;
  for (std::size_t i = 0; i < count; ++i) {
    const vec weight = hn::Load(d, u + i * width);
    const auto add = [&](std::size_t n) HWY_ATTR {
      const std::size_t at = (i * sizeof...(N) + n) * width;
      const vec w = Wide ? hn::Mul(weight, factor_at<true>(v, i, n)) : weight;
      const vec x = summed<Kind, sizeof...(N)>(q, i, n);
      hn::Store(First ? hn::Mul(x, w) : hn::MulAdd(x, w, hn::Load(d, sums + at)), d, sums + at);
    };
    (add(N), ...);
  }
}

/// What a sum of many lost by rounding goes into `lost`.
HWY_INLINE void add_exactly(vec x, float* sum, float* lost) {
  const lanes d;
  const auto exact = ExactSum(hn::Load(d, sum), x);
  hn::Store(exact.high, d, sum);
  hn::Store(hn::Add(hn::Load(d, lost), exact.low), d, lost);
}
/// sum [state, lane] += sum over the steps of u v q
template <summand::kind Kind, bool Wide, std::size_t... N>
HWY_NOINLINE void sum_tokens(std::size_t count, summand q, const float* u, state_factor v, float* sum, float* lost,
                             std::index_sequence<N...>) {
  const lanes d;
  vec sums[] = {(static_cast<void>(N), hn::Zero(d))...};
  for (std::size_t i = 0; i < count; ++i) {
    const vec weight = hn::Load(d, u + i * width);
    ((sums[N] = hn::MulAdd(summed<Kind, sizeof...(N)>(q, i, N), hn::Mul(weight, factor_at<Wide>(v, i, N)), sums[N])),
     ...);
  }
  (add_exactly(sums[N], sum + N * width, lost + N * width), ...);
}

template <class F>
HWY_INLINE void with_kind(summand::kind is, F f) {
  switch (is) {
    case summand::kind::one:
      return f.template operator()<summand::kind::one>();
    case summand::kind::product:
      return f.template operator()<summand::kind::product>();
    case summand::kind::moved:
      return f.template operator()<summand::kind::moved>();
  }
}
inline void sum_states(std::size_t states, std::size_t count, const summand& q, const state_factor& v, bool first,
                       float* sums) {
  with_states(states, [&](auto n) {
    with_kind(q.is, [&]<summand::kind Kind>() {
      with_bool(v.wide, [&](auto wide) {
        with_bool(first, [&](auto is_first) {
          sum_states<Kind, decltype(wide)::value, decltype(is_first)::value>(count, q, v, sums, n);
        });
      });
    });
  });
}
inline void add_channels(std::size_t states, std::size_t count, const summand& q, const float* u, const state_factor& v,
                         bool first, float* sums) {
  with_states(states, [&](auto n) {
    with_kind(q.is, [&]<summand::kind Kind>() {
      with_bool(v.wide, [&](auto wide) {
        with_bool(first, [&](auto is_first) {
          add_channels<Kind, decltype(wide)::value, decltype(is_first)::value>(count, q, u, v, sums, n);
        });
      });
    });
  });
}
inline void sum_tokens(std::size_t states, std::size_t count, const summand& q, const float* u, const state_factor& v,
                       float* sum, float* lost) {
  with_states(states, [&](auto n) {
    with_kind(q.is, [&]<summand::kind Kind>() {
      with_bool(v.wide, [&](auto wide) { sum_tokens<Kind, decltype(wide)::value>(count, q, u, v, sum, lost, n); });
    });
  });
}

constexpr std::size_t in_fours(std::size_t count) { return (count + 3) / 4 * 4; }

#if HWY_TARGET != HWY_SCALAR
/// The sum of a vector's quarters of four lanes each.
template <class D, class V>
HWY_INLINE void store_sum_of_fours(D d, V v, float* to) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<D> half;
    store_sum_of_fours(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), to);
  }
}
#endif

/// to[k] = the sum of the lanes of vector k, for `count` vectors; both have room for a multiple of four.
inline void sum_lanes(std::size_t count, const float* vectors, float* to) {
  const lanes d;
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t k = 0; k < count; ++k) to[k] = hn::GetLane(hn::Load(d, vectors + k));
#else
  const hn::RepartitionToWide<lanes> pairs;
  for (std::size_t k = 0; k < count; k += 4, vectors += 4 * width) {
    const auto halves = [=](const float* p) HWY_ATTR {
      const vec a = hn::Load(d, p), b = hn::Load(d, p + width);
      return hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
    };
    const auto first = halves(vectors), second = halves(vectors + 2 * width);
    store_sum_of_fours(d,
                       hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, first, second)),
                               hn::BitCast(d, hn::InterleaveUpper(pairs, first, second))),
                       to + k);
  }
#endif
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

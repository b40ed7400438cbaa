// The innermost loop of a scan: some states of one vector of channels in registers, step after step.
// A decay is 2^z with z = u rate, or 1 + u rate. What is slow must not be rounded to a number near 1, and adding to a
// large state loses the small: slow states are followed as their distance from where they were at the first step.
#if defined(ALPHAFORM_CPU_STATES_STEPS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_STATES_STEPS_INL
#undef ALPHAFORM_CPU_STATES_STEPS_INL
#else
#define ALPHAFORM_CPU_STATES_STEPS_INL
#endif

#include <hwy/highway.h>

#include <alphaform/backends/cpu/simd/exact_sum-inl.hpp>
#include <alphaform/backends/cpu/simd/sixteenths-inl.hpp>
#include <alphaform/backends/cpu/states/rows-inl.hpp>
#include <array>
#include <cstdint>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// A vector a step that is moved while states are computed, which leave time to load and store; `to` is contiguous.
struct moved final {
  const float* from;
  std::ptrdiff_t step;
  float* to;
};

/// Some states of one vector of channels. `rate`, `write` and `read` go on by so many floats a step; the last two
/// have one number a state, or a vector if `wide`.
struct steps final {
  std::size_t count;
  const float *u, *x;
  float* y;
  const float *rate, *write, *read;
  std::size_t rate_step, write_step, read_step;
  float* state;           ///< a vector a state: the distance from base before the first step, and after the last one
  const float* base;      ///< added to state; used by the loops with a base
  const float* ahead[2];  ///< what will be needed after these steps, fetched on the way
  std::ptrdiff_t ahead_step[2];
  const moved* moves;  ///< two of them, or null
  bool first;          ///< y is 0 before
};

enum class form : std::uint8_t {
  few,    ///< -0.75 <= z <= 0
  some,   ///< -2.5 <= z <= 0
  many,   ///< |z| <= 125
  any,    ///< z <= 125, also -infinity
  change  ///< not logarithmic
};

/// (2^z - 1) / z as a polynomial of least relative error (1e-7; 5e-7 with rounding), on [-0.5, 0.5] but for few and
/// some.
template <form>
inline constexpr std::array quotient{0x1.62e42ep-1f, 0x1.ebfa4ep-3f, 0x1.c6b26ep-5f, 0x1.3cbe58p-7f, 0x1.5d87dep-10f};
template <>
inline constexpr std::array quotient<form::few>{0x1.62e42ep-1f, 0x1.ebf9aep-3f, 0x1.c65406p-5f, 0x1.35c128p-7f,
                                                0x1.19ae12p-10f};
template <>
inline constexpr std::array quotient<form::some>{0x1.62e42ep-1f,  0x1.ebfa98p-3f,  0x1.c69118p-5f, 0x1.3a046p-7f,
                                                 0x1.52fb68p-10f, 0x1.0f7366p-13f, 0x1.e35640p-18f};

/// With powers of 2^(1/16) from a register, fewer terms do for what is left of z.
template <form Form>
inline constexpr bool by_table = HWY_TARGET == HWY_AVX3 ? Form == form::many : false;
#if HWY_TARGET == HWY_AVX3
template <>
inline constexpr std::array quotient<form::many>{0x1.62e430p-1f, 0x1.ebff8ep-3f, 0x1.c6ad82p-5f};  // up to 1/32
#endif

/// (1 + power) scale
struct split_decay final {
  vec power, scale;
};

/// A decay as z = u rate says.
template <form Form>
struct decay final {
  static constexpr bool is_short = Form == form::few || Form == form::some;
  const lanes d;

  template <std::size_t K = 0>
  HWY_INLINE vec polynomial(vec z) const {
    constexpr const auto& c = quotient<Form>;
    if constexpr (K + 1 == c.size())
      return hn::Set(d, c[K]);
    else
      return hn::MulAdd(polynomial<K + 1>(z), z, hn::Set(d, c[K]));
  }
  HWY_INLINE vec powers(vec z) const { return hn::Mul(z, polynomial(z)); }
  HWY_INLINE split_decay halves(vec u, vec rate) const {
#if HWY_TARGET == HWY_AVX3
    if constexpr (by_table<Form>) {  // additions that are not fused leave multiplications to the rest
      const vec z = hn::Mul(u, rate), whole = hn::Set(d, to_sixteenths<127>), shifted = hn::Add(z, whole);
      return {powers(hn::Sub(z, hn::Sub(shifted, whole))), PowerOfSixteenths(d, shifted)};
    }
#endif
    // Added to z it leaves the nearest whole number, plus the exponent's bias, in the lowest bits.
    const vec whole = hn::Set(d, 0x1.8p23f + 127);
    vec shifted, rest;
    if constexpr (Form == form::any) {
      const vec z = hn::Max(hn::Mul(u, rate), hn::Set(d, -127.0f));
      shifted = hn::Add(z, whole);
      rest = hn::Sub(z, hn::Sub(shifted, whole));
    } else {
      shifted = hn::MulAdd(u, rate, whole);
      rest = hn::MulSub(u, rate, hn::Sub(shifted, whole));
    }
    const hn::RebindToUnsigned<lanes> bits;
    return {powers(rest), hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(bits, shifted)))};
  }

  /// h - base for h <- a h + b x, from `state` = h - base. No decay is rounded to a number near 1, as that would be the
  /// same error step after step; and without a base the result is as exact as a h + b x itself.
  HWY_INLINE vec advance(vec state, vec h, vec u, vec rate, vec b, vec x) const {
    if constexpr (is_short || Form == form::change) {
      const vec z = hn::Mul(u, rate), change = is_short ? powers(z) : z;
      return hn::MulAdd(b, x, hn::MulAdd(change, h, state));
    } else {
      // Where there is a base, scale is 1: it counts for nothing.
      const split_decay s = halves(u, rate);
      return hn::MulAdd(hn::MulAdd(s.power, h, state), s.scale, hn::Mul(b, x));
    }
  }
};

template <form Form, bool Based, bool Wide, std::size_t... N>
HWY_NOINLINE void run(const steps& s, std::index_sequence<N...>) {
  const lanes d;
  const std::size_t count = s.count, rate_step = s.rate_step, write_step = s.write_step, read_step = s.read_step;
  const decay<Form> a{d};
  const float *us = s.u, *xs = s.x, *base = s.base, *rate = s.rate, *write = s.write, *read = s.read;
  const float* ahead[] = {s.ahead[0], s.ahead[1]};
  const bool moves = s.moves != nullptr, is_first = s.first;
  const moved first = moves ? s.moves[0] : moved{}, second = moves ? s.moves[1] : moved{};
  const float* from[] = {first.from, second.from};
  float* ys = s.y;
  const auto factor = [=](const float* p, std::size_t n) HWY_ATTR {
    if constexpr (Wide)
      return hn::Load(d, p + n * width);
    else
      return hn::Set(d, p[n]);
  };
  const auto whole = [=](vec state, std::size_t n) HWY_ATTR {
    if constexpr (Based)
      return hn::Add(state, hn::Load(d, base + n * width));
    else
      return state;
  };
  vec state[] = {hn::Load(d, s.state + N * width)...};
  vec h[] = {whole(state[N], N)...};
  for (std::size_t i = 0; i < count; ++i) {
    const vec u = hn::Load(d, us + i * width), x = hn::Load(d, xs + i * width);
    vec y = is_first ? hn::Zero(d) : hn::Load(d, ys + i * width);
    ((state[N] = a.advance(state[N], h[N], u, hn::Load(d, rate + N * width), factor(write, N), x),
      h[N] = whole(state[N], N), y = hn::MulAdd(factor(read, N), h[N], y)),
     ...);
    hn::Store(y, d, ys + i * width);
    for (std::size_t k = 0; k < 2; ++k) __builtin_prefetch(ahead[k], 0, 2), ahead[k] += s.ahead_step[k];
    if (moves) {
      hn::Store(hn::LoadU(d, from[0]), d, first.to + i * width);
      hn::Store(hn::LoadU(d, from[1]), d, second.to + i * width);
      from[0] += first.step, from[1] += second.step;
    }
    rate += rate_step, write += write_step, read += read_step;
  }
  (hn::Store(state[N], d, s.state + N * width), ...);
}

/// The strongest decay of a state that is followed from a base, in powers of 2: the scale is 1.
constexpr float most_of_slow(form f) { return HWY_TARGET == HWY_AVX3 && f == form::many ? 0.03f : 0.49f; }

/// As many states at once as leave registers for a decay.
constexpr std::size_t most_states = HWY_TARGET == HWY_AVX3 ? 8 : 4;
constexpr std::size_t states_at_once(std::size_t left) { return left >= most_states ? most_states : left >= 4 ? 4 : 1; }

template <std::size_t States>
HWY_INLINE void run(form f, bool based, bool wide, const steps& s) {
  constexpr std::make_index_sequence<States> n{};
  if (f == form::change) return wide ? run<form::change, true, true>(s, n) : run<form::change, true, false>(s, n);
  if (wide) return run<form::any, true, true>(s, n);
  switch (f) {
    case form::few:
      return based ? run<form::few, true, false>(s, n) : run<form::few, false, false>(s, n);
    case form::some:
      return based ? run<form::some, true, false>(s, n) : run<form::some, false, false>(s, n);
    case form::many:
      return based ? run<form::many, true, false>(s, n) : run<form::many, false, false>(s, n);
    default:
      return run<form::any, true, false>(s, n);
  }
}

/// The steps of `states` states, a number that `states_at_once` gives.
inline void run(std::size_t states, form f, bool based, bool wide, const steps& s) {
  if (states == 1) return run<1>(f, based, wide, s);
  if (most_states == 4 || states == 4) return run<4>(f, based, wide, s);
  run<most_states>(f, based, wide, s);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

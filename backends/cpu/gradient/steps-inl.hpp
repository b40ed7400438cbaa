// The scans of a gradient over a block of tokens, for some states of one vector of channels: forward, forward again
// with everything kept that sums need, and backward. A decay is (1 + power) scale: power alone if it is slow, as it
// must not be rounded to a number near 1, and scale is small if it is fast, so that nothing large is left of the state.
#if defined(ALPHAFORM_CPU_GRADIENT_STEPS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_GRADIENT_STEPS_INL
#undef ALPHAFORM_CPU_GRADIENT_STEPS_INL
#else
#define ALPHAFORM_CPU_GRADIENT_STEPS_INL
#endif

#include <alphaform/backends/cpu/states/rows-inl.hpp>
#include <alphaform/backends/cpu/states/steps-inl.hpp>
#include <array>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// Where decays come from. Those for a vector of channels are made from u and rate, those of all channels are given.
enum class decays : std::uint8_t {
  few,           ///< -0.75 <= log2 a <= 0
  some,          ///< -2.5 <= log2 a <= 0
  any,           ///< log2 a <= 125
  near,          ///< |a - 1| <= 1/2, not logarithmic
  change,        ///< a - 1 is any number
  shared,        ///< given, scale is 1
  shared_split,  ///< given
};

/// A factor of every state: one number each, or a vector each if it is wide; it goes on by so many floats a step.
struct state_factor final {
  const float* data;
  std::size_t step;
  bool wide;
};

/// Rows of what comes later, of which one is fetched at each step.
struct rows_ahead final {
  std::array<const float*, 2> row;
  std::array<std::ptrdiff_t, 2> step;

  HWY_INLINE void fetch() {
    for (std::size_t k = 0; k < 2; ++k) {
      __builtin_prefetch(row[k], 0, 2);
      row[k] += step[k];
    }
  }
};

/// Buffers are [step, state, lane], with as many states as there are at once, or [step, lane].
struct gradient_steps final {
  std::size_t count;
  const float *u, *x, *g;  ///< of the decay, of what is written, and of what the transpose reads
  const float* rate;       ///< a vector a state
  std::size_t rate_step;
  const float *shared_power, *shared_scale;  ///< [step, state]
  state_factor write, read;
  float* state;          ///< a vector a state: the distance from base before the first step, and after the last one
  const float* base;     ///< added to state
  float *power, *scale;  ///< decays, as the scan that keeps them leaves them; z takes the place of power
  float *decayed, *h;    ///< a_t h_{t-1}, and h from before the first step on
  std::size_t h_step;    ///< 0 if only the last h is kept
  rows_ahead ahead;
};

template <decays From>
struct decay_source final {
  static constexpr bool is_shared = From == decays::shared || From == decays::shared_split;
  static constexpr bool is_split = From == decays::any || From == decays::change || From == decays::shared_split;
  static constexpr lanes d{};
  const float *u, *rate, *power, *scale;
  std::size_t rate_step, shared_step;

  HWY_INLINE vec of_step(std::size_t i) const {
    if constexpr (is_shared)
      return hn::Zero(d);
    else
      return finite(hn::Load(d, u + i * width));
  }
  HWY_INLINE split_decay at(vec factor, std::size_t i, std::size_t n) const {
    if constexpr (is_shared) {
      const vec one = hn::Set(d, 1.0f);
      const std::size_t k = i * shared_step + n;
      return {hn::Set(d, power[k]), is_split ? hn::Set(d, scale[k]) : one};
    } else {
      const vec one = hn::Set(d, 1.0f), r = hn::Load(d, rate + i * rate_step + n * width);
      if constexpr (From == decays::few) {
        return {decay<form::few>{d}.powers(hn::Mul(factor, r)), one};
      } else if constexpr (From == decays::some) {
        return {decay<form::some>{d}.powers(hn::Mul(factor, r)), one};
      } else if constexpr (From == decays::any) {
        return decay<form::any>{d}.halves(factor, r);
      } else if constexpr (From == decays::near) {
        return {hn::Mul(factor, r), one};
      } else {
        return split_change(hn::Mul(factor, r));
      }
    }
  }
  static HWY_INLINE split_decay split_change(vec change) {
    const vec one = hn::Set(d, 1.0f);
    const auto slow = hn::Gt(change, hn::Set(d, -0.5f));
    return {hn::IfThenElseZero(slow, change), hn::IfThenElse(slow, one, hn::Add(one, change))};
  }
};
template <decays From, std::size_t States>
HWY_INLINE decay_source<From> source_of(const gradient_steps& s) {
  return {s.u, s.rate, s.shared_power, s.shared_scale, s.rate_step, States};
}

template <bool Wide>
HWY_INLINE vec factor_at(const state_factor& f, std::size_t i, std::size_t n) {
  const lanes d;
  if constexpr (Wide)
    return hn::Load(d, f.data + i * f.step + n * width);
  else
    return hn::Set(d, f.data[i * f.step + n]);
}

/// a h + b x - base, from state = h - base.
template <bool Split>
HWY_INLINE vec faded(split_decay a, vec state, vec h, const float* base, vec b, vec x) {
  const lanes d;
  if constexpr (Split)
    return hn::MulAdd(hn::MulAdd(a.power, h, state), a.scale,
                      hn::MulAdd(hn::Sub(a.scale, hn::Set(d, 1.0f)), hn::Load(d, base), hn::Mul(b, x)));
  else
    return hn::MulAdd(a.power, h, hn::MulAdd(b, x, state));
}
/// The same without b x.
template <bool Split>
HWY_INLINE vec faded(split_decay a, vec state, vec h, const float* base) {
  const lanes d;
  if constexpr (Split)
    return hn::MulAdd(hn::MulAdd(a.power, h, state), a.scale,
                      hn::Mul(hn::Sub(a.scale, hn::Set(d, 1.0f)), hn::Load(d, base)));
  else
    return hn::MulAdd(a.power, h, state);
}

template <decays From, bool Wide, std::size_t... N>
HWY_NOINLINE void scan_forward(const gradient_steps& s, std::index_sequence<N...>) {
  const lanes d;
  constexpr bool is_split = decay_source<From>::is_split;
  const auto a = source_of<From, sizeof...(N)>(s);
  const std::size_t count = s.count;
  const float *xs = s.x, *const base = s.base;
  const state_factor write = s.write;
  rows_ahead ahead = s.ahead;
  vec state[] = {hn::Load(d, s.state + N * width)...};
  for (std::size_t i = 0; i < count; ++i) {
    const vec u = a.of_step(i), x = hn::Load(d, xs + i * width);
    const auto step = [&](vec from, std::size_t n) HWY_ATTR {
      const vec h = hn::Add(from, hn::Load(d, base + n * width));
      return faded<is_split>(a.at(u, i, n), from, h, base + n * width, factor_at<Wide>(write, i, n), x);
    };
    ((state[N] = step(state[N], N)), ...);
    ahead.fetch();
  }
  (hn::Store(state[N], d, s.state + N * width), ...);
}

/// From the first row of h on, which is there.
template <decays From, bool Wide, std::size_t... N>
HWY_NOINLINE void scan_again(const gradient_steps& s, std::index_sequence<N...>) {
  const lanes d;
  constexpr std::size_t row = sizeof...(N) * width;
  constexpr bool is_shared = decay_source<From>::is_shared, is_split = decay_source<From>::is_split;
  const auto a = source_of<From, sizeof...(N)>(s);
  const std::size_t count = s.count;
  const float* xs = s.x;
  const state_factor write = s.write;
  const std::size_t h_step = s.h_step;
  rows_ahead ahead = s.ahead;
  float *power = s.power, *scale = s.scale, *decayed = s.decayed, *hs = s.h;
  vec h[] = {hn::Load(d, hs + N * width)...};
  for (std::size_t i = 0; i < count; ++i, power += row, scale += row, decayed += row) {
    hs += h_step;
    const vec u = a.of_step(i), x = hn::Load(d, xs + i * width);
    const auto step = [&](vec from, std::size_t n) HWY_ATTR {
      const split_decay by = a.at(u, i, n);
      vec left = hn::MulAdd(by.power, from, from);
      if constexpr (is_split) left = hn::Mul(left, by.scale);
      if constexpr (!is_shared) hn::Store(by.power, d, power + n * width);
      if constexpr (!is_shared && is_split) hn::Store(by.scale, d, scale + n * width);
      const vec to = hn::MulAdd(factor_at<Wide>(write, i, n), x, left);
      hn::Store(left, d, decayed + n * width);
      hn::Store(to, d, hs + n * width);
      return to;
    };
    ((h[N] = step(h[N], N)), ...);
    ahead.fetch();
  }
}

/// With the decays that were kept, or the given ones.
template <bool Shared, bool Split, bool Wide, bool Exclusive, std::size_t... N>
HWY_NOINLINE void scan_backward(const gradient_steps& s, std::index_sequence<N...>) {
  const lanes d;
  constexpr std::size_t states = sizeof...(N), row = states * width;
  const float *const shared_power = s.shared_power, *const shared_scale = s.shared_scale, *const gs = s.g,
                     *const scale = s.scale, *const base = s.base;
  const state_factor read = s.read;
  rows_ahead ahead = s.ahead;
  float* const zs = s.power;
  vec state[] = {hn::Load(d, s.state + N * width)...};
  for (std::size_t i = s.count; i-- > 0;) {
    const vec g = hn::Load(d, gs + i * width);
    const auto step = [&](vec from, std::size_t n) HWY_ATTR {
      float* const z_at = zs + i * row + n * width;
      split_decay a{};
      if constexpr (Shared)
        a.power = hn::Set(d, shared_power[i * states + n]);
      else
        a.power = hn::Load(d, z_at);
      if constexpr (Split && Shared) a.scale = hn::Set(d, shared_scale[i * states + n]);
      if constexpr (Split && !Shared) a.scale = hn::Load(d, scale + i * row + n * width);
      const vec c = factor_at<Wide>(read, i, n);
      if constexpr (!Exclusive) from = hn::MulAdd(c, g, from);
      const vec z = hn::Add(from, hn::Load(d, base + n * width));
      hn::Store(z, d, z_at);
      if constexpr (Exclusive)
        return faded<Split>(a, from, z, base + n * width, c, g);
      else
        return faded<Split>(a, from, z, base + n * width);
    };
    ((state[N] = step(state[N], N)), ...);
    ahead.fetch();
  }
  (hn::Store(state[N], d, s.state + N * width), ...);
}

/// f<source>() for a source that is known at run time.
template <class F>
HWY_INLINE void with_decays(decays from, F f) {
  switch (from) {
    case decays::few:
      return f.template operator()<decays::few>();
    case decays::some:
      return f.template operator()<decays::some>();
    case decays::any:
      return f.template operator()<decays::any>();
    case decays::near:
      return f.template operator()<decays::near>();
    case decays::change:
      return f.template operator()<decays::change>();
    case decays::shared:
      return f.template operator()<decays::shared>();
    case decays::shared_split:
      return f.template operator()<decays::shared_split>();
  }
}
/// f(0 ... states - 1 at compile time) for a number that `states_at_once` gives.
template <class F>
HWY_INLINE void with_states(std::size_t states, F f) {
  if (states == 1) return f(std::make_index_sequence<1>());
  if (most_states == 4 || states == 4) return f(std::make_index_sequence<4>());
  f(std::make_index_sequence<most_states>());
}
template <class F>
HWY_INLINE void with_bool(bool b, F f) {
  b ? f(std::true_type()) : f(std::false_type());
}

inline void scan_forward(std::size_t states, decays from, const gradient_steps& s) {
  with_states(states, [&](auto n) {
    with_bool(s.write.wide, [&](auto wide) {
      with_decays(from, [&]<decays From>() { scan_forward<From, decltype(wide)::value>(s, n); });
    });
  });
}
inline void scan_again(std::size_t states, decays from, const gradient_steps& s) {
  with_states(states, [&](auto n) {
    with_bool(s.write.wide, [&](auto wide) {
      with_decays(from, [&]<decays From>() { scan_again<From, decltype(wide)::value>(s, n); });
    });
  });
}
inline void scan_backward(std::size_t states, decays from, bool exclusive, const gradient_steps& s) {
  const bool shared = from == decays::shared || from == decays::shared_split;
  const bool split = from == decays::any || from == decays::change || from == decays::shared_split;
  with_states(states, [&](auto n) {
    with_bool(shared, [&](auto is_shared) {
      with_bool(split, [&](auto is_split) {
        with_bool(s.read.wide, [&](auto wide) {
          with_bool(exclusive, [&](auto is_exclusive) {
            scan_backward<decltype(is_shared)::value, decltype(is_split)::value, decltype(wide)::value,
                          decltype(is_exclusive)::value>(s, n);
          });
        });
      });
    });
  });
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

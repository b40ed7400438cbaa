// The states of a tile of channels: vectors of channels, each scanned over a strip of steps at a time.
#if defined(ALPHAFORM_CPU_STATES_TILE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_STATES_TILE_INL
#undef ALPHAFORM_CPU_STATES_TILE_INL
#else
#define ALPHAFORM_CPU_STATES_TILE_INL
#endif

#include <alphaform/backends/cpu/states/rows-inl.hpp>
#include <alphaform/backends/cpu/states/steps-inl.hpp>
#include <alphaform/backends/cpu/states/window.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

constexpr std::size_t strip_steps = 64;
constexpr std::size_t tile_channels = 256;

/// What the steps of a strip bring for one vector of channels, [step, lane], and get.
struct strip_of_vector final {
  const float *u, *x;
  float* y;                      ///< what comes out
  vec total, longest;            ///< sum and maximum of |u|
  const moved* moves = nullptr;  ///< four vectors a step to be moved on the way, or null
};

class tile final {
 public:
  /// Of the channels from `first` on, in strips of at most so many steps. It works in `memory_of` floats at `memory`.
  tile(const states_window& w, std::size_t first, std::size_t channels, std::size_t steps, float* memory)
      : w_(w), first_(first), channels_(channels), decays_vary_(w.decay.v.token != 0), wide_(is_wide(w)) {
    const std::size_t states = whole_vectors(channels) * w.states, group = steps * width * most_states,
                      few = steps * w.states;
    const auto take = [&memory](std::size_t n) {
      memory += n;
      return memory - n;
    };
    rates_ = take(states), high_ = take(states), low_ = take(states);
    group_rates_ = take(group), group_write_ = take(group), group_read_ = take(group);
    write_ = take(few), read_ = take(few);
  }
  static std::size_t memory_of(const states_window& w, std::size_t channels, std::size_t steps) {
    const std::size_t numbers =
        3 * whole_vectors(channels) * w.states + 3 * steps * width * most_states + 2 * steps * w.states;
    return whole_vectors(numbers);
  }

  void load_states() {
    load(w_.h, w_.h_chan, w_.h_state, high_);
    std::fill_n(low_, whole_vectors(channels_) * w_.states, 0.0f);
    if (decays_vary_) return;
    load(w_.decay.v.data, w_.decay.v.chan, w_.decay.v.state, rates_);
    for (std::size_t i = 0; i < whole_vectors(channels_) * w_.states; i += width)
      hn::Store(as_rate(hn::Load(d, rates_ + i)), d, rates_ + i);
  }
  void store_states() const {
    for (std::size_t c = 0; c < channels_; c += width)
      transpose(w_.states, std::min(width, channels_ - c), high_ + c * w_.states, width, 1,
                w_.h + offset(w_.h_chan, first_ + c), w_.h_chan, w_.h_state);
  }

  void begin_strip(std::size_t begin, std::size_t count) {
    begin_ = begin, count_ = count;
    if (wide_) return;
    pack_factor(w_.write.v, w_.write_lag, write_);
    pack_factor(w_.read.v, 0, read_);
  }
  /// The strip's steps of the vector from channel c on.
  void advance(std::size_t c, const strip_of_vector& v) {
    for (std::size_t n = 0, some = 0; n < w_.states; n += some) {
      some = states_at_once(w_.states - n);
      advance(c, n, some, v);
    }
  }

  /// Is there a token `lag` steps before step i of the strip?
  bool has(std::size_t i, std::size_t lag) const { return begin_ + i >= lag && begin_ + i - lag < w_.tokens; }
  const float* token(const strided& s, std::size_t i, std::size_t lag) const {
    return s.data + offset(s.token, begin_ + i) - offset(s.token, lag);
  }

 private:
  static bool is_wide(const states_window& w) { return w.write.v.chan != 0 || w.read.v.chan != 0; }

  /// Numbers of channels and states as vectors [vector, state, lane].
  void load(const float* from, std::ptrdiff_t chan, std::ptrdiff_t state, float* to) const {
    for (std::size_t c = 0; c < channels_; c += width) {
      const std::size_t some = std::min(width, channels_ - c);
      float* const vectors = to + c * w_.states;
      transpose(some, w_.states, from + offset(chan, first_ + c), chan, state, vectors, width, 1);
      for (std::size_t n = 0; n < w_.states; ++n)
        std::fill_n(vectors + n * width + some, width - some, vectors[n * width + some - 1]);
    }
  }
  /// The decay's v, in powers of 2.
  vec as_rate(vec v) const { return w_.logarithmic ? finite(hn::Mul(v, hn::Set(d, 1.44269504f))) : v; }

  /// A factor that is the same for all channels: the states of a group, step after step, and then the next group's.
  void pack_factor(const strided& s, std::size_t lag, float* to) const {
    const hn::CappedTag<float, 4> few;
    for (std::size_t n = 0, some = 0; n < w_.states; n += some) {
      some = states_at_once(w_.states - n);
      for (std::size_t i = 0; i < count_; ++i, to += some) {
        const float* from = token(s, i, lag) + offset(s.state, n);
        if (!has(i, lag))
          std::fill_n(to, some, 0.0f);
        else if (s.state == 1 && some % hn::Lanes(few) == 0)
          for (std::size_t k = 0; k < some; k += hn::Lanes(few)) hn::StoreU(hn::LoadU(few, from + k), few, to + k);
        else
          for (std::size_t k = 0; k < some; ++k) to[k] = from[offset(s.state, k)];
      }
    }
  }
  /// One that is not: a vector a state.
  template <class F>
  void pack_group(const strided& s, std::size_t lag, std::size_t c, std::size_t n, std::size_t some, float* to,
                  F f) const {
    HWY_ALIGN float buffer[width];
    for (std::size_t i = 0; i < count_; ++i)
      for (std::size_t k = 0; k < some; ++k, to += width) {
        vec v = hn::Zero(d);
        if (has(i, lag)) {
          const float* from = token(s, i, lag) + offset(s.chan, first_ + c) + offset(s.state, n + k);
          v = f(hn::LoadU(d, HWY_NAMESPACE::row(from, s.chan, std::min(width, channels_ - c), buffer)), i);
        }
        hn::Store(v, d, to);
      }
  }
  void pack_groups(std::size_t c, std::size_t n, std::size_t some) {
    const auto as_is = [](vec v, std::size_t) HWY_ATTR { return v; };
    if (wide_) {
      pack_group(w_.write.v, w_.write_lag, c, n, some, group_write_, as_is);
      pack_group(w_.read.v, 0, c, n, some, group_read_, as_is);
    }
    if (decays_vary_)
      pack_group(w_.decay.v, w_.decay_lag, c, n, some, group_rates_, [&](vec v, std::size_t i) HWY_ATTR {
        HWY_ALIGN float buffer[width];
        const strided& u = w_.decay.u;
        const float* from = token(u, i, w_.decay_lag) + offset(u.chan, first_ + c);
        return hn::Mul(finite(hn::LoadU(d, HWY_NAMESPACE::row(from, u.chan, std::min(width, channels_ - c), buffer))),
                       as_rate(v));
      });
  }

  /// The states n ... of the vector from channel c on.
  void advance(std::size_t c, std::size_t n, std::size_t some, const strip_of_vector& v) {
    const std::size_t first_state = c * w_.states + n * width;
    HWY_ALIGN float state[most_states * width], base[most_states * width];
    steps s{.count = count_,
            .u = v.u,
            .x = v.x,
            .y = v.y,
            .rate = decays_vary_ ? group_rates_ : rates_ + first_state,
            .write = wide_ ? group_write_ : write_ + n * count_,
            .read = wide_ ? group_read_ : read_ + n * count_,
            .rate_step = decays_vary_ ? some * width : 0,
            .write_step = wide_ ? some * width : some,
            .read_step = wide_ ? some * width : some,
            .state = state,
            .base = base,
            .ahead = {},
            .ahead_step = {},
            .moves = v.moves != nullptr && n < 2 * most_states ? v.moves + n / most_states * 2 : nullptr,
            .first = n == 0};
    // Two streams with each group of states: the same tokens of what comes after this window, or the next tokens here.
    const std::size_t pair = std::min<std::size_t>(n / most_states, 1) * 2;
    for (std::size_t k = 0; k < 2; ++k) {
      const strided &later = w_.soon[pair + k], &from = later.data != nullptr ? later : w_.here[pair + k];
      s.ahead[k] = token(from, later.data != nullptr ? 0 : count_, 0) + offset(from.chan, first_ + c);
      s.ahead_step[k] = from.token;
    }
    pack_groups(c, n, some);

    float *high = high_ + first_state, *low = low_ + first_state;
    const extent e = choose_bases(s, v, some, high, low, state, base);
    run(some, e.loop, e.based, wide_, s);
    for (std::size_t j = 0; j < some * width; j += width) {
      const auto sum = ExactSum(e.based ? hn::Load(d, base + j) : hn::Zero(d), hn::Load(d, state + j));
      hn::Store(sum.high, d, high + j);
      hn::Store(sum.low, d, low + j);
    }
  }

  struct extent final {
    form loop;
    bool based;
  };
  /// States that decay little over the strip are followed from where they are, the others from 0.
  extent choose_bases(const steps& s, const strip_of_vector& v, std::size_t some, const float* high, const float* low,
                      float* state, float* base) const {
    constexpr float little = 2;  // in powers of 2; what rounds alike at every step is forgotten after 50 or is here
    HWY_ALIGN float sums[most_states * width], largest[most_states * width];
    vec most = hn::Zero(d);
    for (std::size_t j = 0; j < some * width; j += width) {
      vec sum = hn::Zero(d), at_most = sum;
      if (decays_vary_) {
        for (std::size_t i = 0; i < s.count; ++i) {
          const vec z = hn::Abs(hn::Load(d, s.rate + i * s.rate_step + j));
          sum = hn::Add(sum, z);
          at_most = hn::Max(at_most, z);
        }
      } else {
        const vec r = hn::Abs(hn::Load(d, s.rate + j));
        sum = hn::Mul(v.total, r);
        at_most = hn::Mul(v.longest, r);
      }
      most = hn::Max(most, at_most);
      hn::Store(sum, d, sums + j);
      hn::Store(at_most, d, largest + j);
    }
    const form loop = form_for(hn::GetLane(hn::MaxOfLanes(d, most)));
    vec least = hn::Set(d, little);
    for (std::size_t j = 0; j < some * width; j += width) {
      const vec sum = hn::Load(d, sums + j), h = hn::Load(d, high + j), rest = hn::Load(d, low + j);
      const auto is_slow =
          hn::And(hn::Lt(sum, hn::Set(d, little)), hn::Le(hn::Load(d, largest + j), hn::Set(d, most_of_slow(loop))));
      hn::Store(hn::IfThenElseZero(is_slow, h), d, base + j);
      hn::Store(hn::IfThenElse(is_slow, rest, hn::Add(h, rest)), d, state + j);
      least = hn::Min(least, hn::IfThenElse(is_slow, sum, least));
    }
    const bool any_slow = hn::GetLane(hn::MinOfLanes(d, least)) < little;
    return {loop, any_slow || loop == form::any || loop == form::change};
  }
  /// @param z  the strongest decay, in powers of 2
  form form_for(float z) const {
    if (!w_.logarithmic) return form::change;
    if (wide_ || !(z <= 125)) return form::any;
    return z <= 0.75f ? form::few : z <= 2.5f && !by_table<form::many> ? form::some : form::many;
  }

  static constexpr lanes d{};
  const states_window& w_;
  std::size_t first_, channels_;
  bool decays_vary_, wide_;
  std::size_t begin_ = 0, count_ = 0;
  float *rates_, *high_, *low_;                      ///< [vector, state, lane]; a state is high + low
  float *group_rates_, *group_write_, *group_read_;  ///< [step, state, lane] of one group
  float *write_, *read_;                             ///< [group, step, state]
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

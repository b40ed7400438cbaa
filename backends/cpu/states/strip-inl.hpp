// A strip of tokens of some channels: packed so that vectors of channels follow each other step by step, scanned, and
// the results unpacked.
#if defined(ALPHAFORM_CPU_STATES_STRIP_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_STATES_STRIP_INL
#undef ALPHAFORM_CPU_STATES_STRIP_INL
#else
#define ALPHAFORM_CPU_STATES_STRIP_INL
#endif

#include <alphaform/backends/cpu/states/rows-inl.hpp>
#include <alphaform/backends/cpu/states/steps-inl.hpp>
#include <alphaform/backends/cpu/states/window.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

constexpr std::size_t strip_steps = 64;
constexpr std::size_t tile_channels = 128;

class strip final {
 public:
  /// Of the channels from `first` on, and of at most so many steps.
  strip(const states_window& w, std::size_t first, std::size_t channels, std::size_t steps)
      : w_(w),
        first_(first),
        channels_(channels),
        row_((steps | 1) * width),  // an odd number of vectors, as otherwise all rows would lie in one set of a cache
        decays_vary_(w.decay.v.token != 0),
        wide_(w.write.v.chan != 0 || w.read.v.chan != 0) {
    const std::size_t whole = whole_vectors(channels), packed = whole / width * row_, states = whole * w.states;
    const std::size_t group = row_ * most_states, few = row_ / width * w.states;
    float* p = scratch(3 * packed + 3 * states + 3 * group + 2 * whole + 2 * few);
    const auto take = [&p](std::size_t n) {
      p += n;
      return p - n;
    };
    u_ = take(packed), x_ = take(packed), y_ = take(packed);
    rates_ = take(states), high_ = take(states), low_ = take(states);
    group_rates_ = take(group), group_write_ = take(group), group_read_ = take(group);
    total_ = take(whole), longest_ = take(whole);
    write_ = take(few), read_ = take(few);
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

  void advance(std::size_t begin, std::size_t end) {
    begin_ = begin, count_ = end - begin;
    pack();
    if (!wide_) {
      pack_factor(w_.write.v, w_.write_lag, write_);
      pack_factor(w_.read.v, 0, read_);
    }
    for (std::size_t c = 0; c < channels_; c += width)
      for (std::size_t n = 0, some = 0; n < w_.states; n += some) {
        some = states_at_once(w_.states - n);
        advance(c, n, some);
      }
    unpack();
  }

 private:
  /// Is there a token `lag` steps before step i of the strip?
  bool has(std::size_t i, std::size_t lag) const { return begin_ + i >= lag && begin_ + i - lag < w_.tokens; }
  const float* token(const strided& s, std::size_t i, std::size_t lag) const {
    return s.data + offset(s.token, begin_ + i) - offset(s.token, lag);
  }
  const float* row(const strided& s, std::size_t i, std::size_t lag, float* buffer) const {
    return HWY_NAMESPACE::row(token(s, i, lag) + offset(s.chan, first_), s.chan, channels_, buffer);
  }

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

  /// Vector after vector of channels, step by step.
  void pack() {
    HWY_ALIGN float buffer[width];
    const vec zero = hn::Zero(d), one = hn::Set(d, 1.0f);
    for (std::size_t c = 0; c < channels_; c += width) {
      const std::size_t some = std::min(width, channels_ - c);
      const auto load = [&](const strided& s, std::size_t i, std::size_t lag) HWY_ATTR {
        return hn::LoadU(d, HWY_NAMESPACE::row(token(s, i, lag) + offset(s.chan, first_ + c), s.chan, some, buffer));
      };
      vec total = zero, longest = zero;
      for (std::size_t i = 0, at = c / width * row_; i < count_; ++i, at += width) {
        vec u = zero, x = zero;
        if (has(i, w_.decay_lag)) u = decays_vary_ ? one : finite(load(w_.decay.u, i, w_.decay_lag));
        if (has(i, w_.write_lag)) x = hn::Mul(load(w_.write.u, i, w_.write_lag), load(w_.x, i, w_.write_lag));
        total = hn::Add(total, hn::Abs(u));
        longest = hn::Max(longest, hn::Abs(u));
        hn::Store(u, d, u_ + at);
        hn::Store(x, d, x_ + at);
        hn::Store(zero, d, y_ + at);
      }
      hn::Store(total, d, total_ + c);
      hn::Store(longest, d, longest_ + c);
    }
  }
  void unpack() const {
    HWY_ALIGN float buffer[2][tile_channels];
    const bool is_in_place = w_.y_chan == 1 && channels_ % width == 0;
    for (std::size_t i = 0; i < count_ && has(i, 0); ++i) {
      const float* u = row(w_.read.u, i, 0, buffer[0]);
      float* const y = w_.y + offset(w_.y_token, begin_ + i) + offset(w_.y_chan, first_);
      float* const to = is_in_place ? y : buffer[1];
      for (std::size_t c = 0, at = i * width; c < channels_; c += width, at += row_)
        hn::StoreU(hn::Mul(hn::Load(d, y_ + at), hn::LoadU(d, u + c)), d, to + c);
      if (!is_in_place)
        for (std::size_t c = 0; c < channels_; ++c) y[offset(w_.y_chan, c)] = to[c];
    }
  }

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
  void advance(std::size_t c, std::size_t n, std::size_t some) {
    const std::size_t first_state = c * w_.states + n * width, first_step = c / width * row_;
    HWY_ALIGN float state[most_states * width], base[most_states * width];
    steps s{.count = count_,
            .u = u_ + first_step,
            .x = x_ + first_step,
            .y = y_ + first_step,
            .rate = decays_vary_ ? group_rates_ : rates_ + first_state,
            .write = wide_ ? group_write_ : write_ + n * count_,
            .read = wide_ ? group_read_ : read_ + n * count_,
            .rate_step = decays_vary_ ? some * width : 0,
            .write_step = wide_ ? some * width : some,
            .read_step = wide_ ? some * width : some,
            .state = state,
            .base = base,
            .ahead = {},
            .ahead_step = {}};
    // The same tokens of what comes after this window, two streams with each group of states; or the next tokens of
    // what is read here.
    const bool is_first = n == 0;
    const strided result{w_.y, w_.y_token, w_.y_chan, 0};
    const strided* next[] = {is_first ? &w_.decay.u : &w_.read.u, is_first ? &w_.x : &result};
    const std::size_t pair = std::min<std::size_t>(n / most_states, 1) * 2;
    for (std::size_t k = 0; k < 2; ++k) {
      const strided& later = w_.soon[pair + k];
      const strided& from = later.data != nullptr ? later : *next[k];
      s.ahead[k] = token(from, later.data != nullptr ? 0 : count_, 0) + offset(from.chan, first_ + c);
      s.ahead_step[k] = from.token;
    }
    pack_groups(c, n, some);

    float *high = high_ + first_state, *low = low_ + first_state;
    const extent e = choose_bases(s, c, some, high, low, state, base);
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
  extent choose_bases(const steps& s, std::size_t c, std::size_t some, const float* high, const float* low,
                      float* state, float* base) const {
    constexpr float little = 2;  // in powers of 2; what rounds alike at every step is forgotten after 50 or is here
    vec most = hn::Zero(d), least = hn::Set(d, std::numeric_limits<float>::max());
    for (std::size_t j = 0; j < some * width; j += width) {
      vec sum = hn::Zero(d), largest = sum;
      if (decays_vary_) {
        for (std::size_t i = 0; i < s.count; ++i) {
          const vec z = hn::Abs(hn::Load(d, s.rate + i * s.rate_step + j));
          sum = hn::Add(sum, z);
          largest = hn::Max(largest, z);
        }
      } else {
        const vec r = hn::Abs(hn::Load(d, s.rate + j));
        sum = hn::Mul(hn::Load(d, total_ + c), r);
        largest = hn::Mul(hn::Load(d, longest_ + c), r);
      }
      const auto is_slow = hn::And(hn::Lt(sum, hn::Set(d, little)), hn::Le(largest, hn::Set(d, most_of_slow)));
      const vec h = hn::Load(d, high + j), rest = hn::Load(d, low + j);
      hn::Store(hn::IfThenElseZero(is_slow, h), d, base + j);
      hn::Store(hn::IfThenElse(is_slow, rest, hn::Add(h, rest)), d, state + j);
      most = hn::Max(most, largest);
      least = hn::Min(least, hn::IfThenElse(is_slow, sum, hn::Set(d, little)));
    }
    const float z = hn::GetLane(hn::MaxOfLanes(d, most));
    const bool slow = hn::GetLane(hn::MinOfLanes(d, least)) < little;
    if (!w_.logarithmic) return {form::change, true};
    if (wide_ || !(z <= 125)) return {form::any, true};
    return {z <= 0.75f ? form::few : z <= 2.5f ? form::some : form::many, slow};
  }

  static constexpr lanes d{};
  const states_window& w_;
  std::size_t first_, channels_, row_;
  bool decays_vary_, wide_;
  std::size_t begin_ = 0, count_ = 0;
  float *u_, *x_, *y_;                               ///< [vector, step, lane]
  float *rates_, *high_, *low_;                      ///< [vector, state, lane]; a state is high + low
  float *group_rates_, *group_write_, *group_read_;  ///< [step, state, lane] of one group
  float *total_, *longest_;                          ///< sum and maximum of |u| over the strip
  float *write_, *read_;                             ///< [group, step, state]
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

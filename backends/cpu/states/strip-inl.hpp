// A strip of tokens of some channels: packed so that vectors of channels follow each other step by step, scanned, and
// the results unpacked.
#if defined(ALPHAFORM_CPU_STATES_STRIP_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_STATES_STRIP_INL
#undef ALPHAFORM_CPU_STATES_STRIP_INL
#else
#define ALPHAFORM_CPU_STATES_STRIP_INL
#endif

#include <alphaform/backends/cpu/states/tile-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

class strip final {
 public:
  /// Of the channels from `first` on, and of at most so many steps.
  strip(const states_window& w, std::size_t first, std::size_t channels, std::size_t steps)
      : w_(w),
        first_(first),
        channels_(channels),
        row_((steps | 1) * width),  // an odd number of vectors, as otherwise all rows would lie in one set of a cache
        decays_vary_(w.decay.v.token != 0),
        u_(scratch(3 * packed() + 2 * whole_vectors(channels) + tile::memory_of(w, channels, steps))),
        x_(u_ + packed()),
        y_(x_ + packed()),
        total_(y_ + packed()),
        longest_(total_ + whole_vectors(channels)),
        tile_(w, first, channels, steps, longest_ + whole_vectors(channels)) {}

  void load_states() { tile_.load_states(); }
  void store_states() const { tile_.store_states(); }

  void advance(std::size_t begin, std::size_t end, std::size_t) {
    begin_ = begin, count_ = end - begin;
    tile_.begin_strip(begin_, count_);
    pack();
    for (std::size_t c = 0, at = 0; c < channels_; c += width, at += row_)
      tile_.advance(c, {u_ + at, x_ + at, y_ + at, hn::Load(d, total_ + c), hn::Load(d, longest_ + c)});
    unpack();
  }

 private:
  std::size_t packed() const { return whole_vectors(channels_) / width * row_; }
  const float* row(const strided& s, std::size_t i, std::size_t lag, float* buffer) const {
    return HWY_NAMESPACE::row(tile_.token(s, i, lag) + offset(s.chan, first_), s.chan, channels_, buffer);
  }

  /// Vector after vector of channels, step by step.
  void pack() {
    HWY_ALIGN float buffer[width];
    const vec zero = hn::Zero(d), one = hn::Set(d, 1.0f);
    for (std::size_t c = 0; c < channels_; c += width) {
      const std::size_t some = std::min(width, channels_ - c);
      const auto load = [&](const strided& s, std::size_t i, std::size_t lag) HWY_ATTR {
        return hn::LoadU(d,
                         HWY_NAMESPACE::row(tile_.token(s, i, lag) + offset(s.chan, first_ + c), s.chan, some, buffer));
      };
      vec total = zero, longest = zero;
      for (std::size_t i = 0, at = c / width * row_; i < count_; ++i, at += width) {
        vec u = zero, x = zero;
        if (tile_.has(i, w_.decay_lag)) u = decays_vary_ ? one : finite(load(w_.decay.u, i, w_.decay_lag));
        if (tile_.has(i, w_.write_lag)) x = hn::Mul(load(w_.write.u, i, w_.write_lag), load(w_.x, i, w_.write_lag));
        total = hn::Add(total, hn::Abs(u));
        longest = hn::Max(longest, hn::Abs(u));
        hn::Store(u, d, u_ + at);
        hn::Store(x, d, x_ + at);
      }
      hn::Store(total, d, total_ + c);
      hn::Store(longest, d, longest_ + c);
    }
  }
  void unpack() const {
    HWY_ALIGN float buffer[2][tile_channels];
    const bool is_in_place = w_.y_chan == 1 && channels_ % width == 0;
    for (std::size_t i = 0; i < count_ && tile_.has(i, 0); ++i) {
      const float* u = row(w_.read.u, i, 0, buffer[0]);
      float* const y = w_.y + offset(w_.y_token, begin_ + i) + offset(w_.y_chan, first_);
      float* const to = is_in_place ? y : buffer[1];
      for (std::size_t c = 0, at = i * width; c < channels_; c += width, at += row_)
        hn::StoreU(hn::Mul(hn::Load(d, y_ + at), hn::LoadU(d, u + c)), d, to + c);
      if (!is_in_place)
        for (std::size_t c = 0; c < channels_; ++c) y[offset(w_.y_chan, c)] = to[c];
    }
  }

  static constexpr lanes d{};
  const states_window& w_;
  std::size_t first_, channels_, row_;
  bool decays_vary_;
  float *u_, *x_, *y_;       ///< [vector, step, lane]
  float *total_, *longest_;  ///< sum and maximum of |u| over the strip
  tile tile_;
  std::size_t begin_ = 0, count_ = 0;
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

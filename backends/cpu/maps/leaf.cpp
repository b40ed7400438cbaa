// Per group of channels: the decays, writes and reads of 32 tokens, a few states at a time; then the filter and what is
// taken over channels, which stays a vector until the end.
#include <alphaform/backends/cpu/maps/leaf.hpp>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/maps/leaf.cpp"
// The choice of instructions comes before what is compiled for each.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <alphaform/backends/cpu/maps/vectors-inl.hpp>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

using maps::leaf_tokens;

/// States of one row that are carried together in registers.
template <class>
struct some_states;
template <std::size_t... N>
struct some_states<std::index_sequence<N...>> final {
  static constexpr std::size_t count = sizeof...(N);
  map_vector x[count];
  static HWY_INLINE some_states Load(const float* p) {
    const map_lanes d;
    return {{hn::Load(d, p + N * hn::Lanes(d))...}};
  }
  HWY_INLINE void Store(float* p) const {
    const map_lanes d;
    (hn::Store(x[N], d, p + N * hn::Lanes(d)), ...);
  }
  HWY_INLINE map_vector Dot(const some_states& w, map_vector y) const {
    ((y = hn::MulAdd(x[N], w.x[N], y)), ...);
    return y;
  }
  HWY_INLINE void Decay(const some_states& a) { ((x[N] = hn::Mul(x[N], a.x[N])), ...); }
};
template <std::size_t Count>
using states_together = some_states<std::make_index_sequence<Count>>;
/// States and rows that are worked on together, as many as leave registers for their factors.
constexpr std::size_t most_states = HWY_TARGET == HWY_AVX3 ? maps::most_leaf_states : 4;
template <class Some>
inline constexpr std::size_t rows_together = Some::count > 4 ? 2 : 4;
/// Columns whose decays to a later row are one product: those to the end of their block are the same for all rows.
constexpr std::size_t block = 4;

class leaf_of_map {
 public:
  leaf_of_map(const maps::channels& m, std::size_t low, maps::leaf_scratch& w)
      : m_(m), w_(w), low_(low), high_(std::min(low + leaf_tokens, m.tokens)), first_(low - std::min(low, m.reach())) {}

  void Take(view<float> map) const {
    const map_lanes d;
    const bool maximum = m_.over == over_channels::maximum;
    const float nothing = maximum ? -std::numeric_limits<float>::infinity() : 0.0f;
    std::fill_n(w_.taken.get(), leaf_tokens * Row(), nothing);
    for (std::size_t c = 0; c < m_.count; c += Width()) Group(c, std::min(Width(), m_.count - c));
    for (std::size_t t = low_; t < high_; ++t)
      for (std::size_t s = first_; s <= t; ++s) {
        const map_vector taken = hn::Load(d, Entry(w_.taken, t, s));
        float& to = map.data[t * map.step(axis::token) + s];
        if (maximum)
          to = std::max(to, hn::GetLane(hn::MaxOfLanes(d, taken)));
        else
          to += hn::GetLane(hn::SumOfLanes(d, taken));
      }
  }

 private:
  static HWY_INLINE std::size_t Width() { return hn::Lanes(map_lanes()); }
  std::size_t Row() const { return (leaf_tokens + m_.reach()) * Width(); }
  float* Entry(const working_memory& tile, std::size_t t, std::size_t s) const {
    return tile.get() + (t - low_) * Row() + (s - first_) * Width();
  }

  HWY_INLINE void Group(std::size_t c, std::size_t count) const {
    const map_lanes d;
    const recurrence<float>& core = m_.of.core;
    const auto keep = [&](const view<const float>& u, std::size_t begin, const working_memory& to) HWY_ATTR {
      EachToken(u, begin, high_, c, 0, count,
                [d, p = to.get()](std::size_t i, map_vector x) HWY_ATTR { hn::Store(x, d, p + i * hn::Lanes(d)); });
    };
    keep(core.decay.u, first_, w_.decay_factor);
    keep(core.write.u, first_, w_.write_factor);
    keep(core.read.u, low_, w_.read_factor);
    if (const std::size_t next = c + Width(); next < m_.count) {
      FetchTokens(core.decay.u, first_, high_, next);
      FetchTokens(core.write.u, first_, high_, next);
      FetchTokens(core.read.u, low_, high_, next);
      FetchTokens(m_.of.skip, low_, high_, next);
    }
    std::size_t n = 0;
    for (; n + most_states <= m_.states; n += most_states) States<states_together<most_states>>(c, n, count);
    for (; n + 4 <= m_.states; n += 4) States<states_together<4>>(c, n, count);
    for (; n < m_.states; ++n) States<states_together<1>>(c, n, count);
    if (m_.over == over_channels::sum)
      Filter(c, count, [](map_vector w, map_vector x, map_vector y) HWY_ATTR { return hn::MulAdd(w, x, y); });
    else if (m_.over == over_channels::absolute)
      Filter(c, count, [](map_vector w, map_vector x, map_vector y) HWY_ATTR { return hn::MulAdd(w, hn::Abs(x), y); });
    else if (m_.over == over_channels::positive)
      Filter(c, count, [d](map_vector w, map_vector x, map_vector y) HWY_ATTR {
        return hn::MulAdd(w, hn::Max(x, hn::Zero(d)), y);
      });
    else
      Filter(c, count, [mask = hn::FirstN(d, count)](map_vector w, map_vector x, map_vector y) HWY_ATTR {
        return hn::IfThenElse(mask, hn::Max(hn::Mul(w, hn::Abs(x)), y), y);
      });
  }

  /// The decays, writes and reads of some states at every token, then all rows, four at a time.
  template <class Some>
  HWY_INLINE void States(std::size_t c, std::size_t n, std::size_t count) const {
    const std::size_t step = Some::count * Width();
    if (high_ < low_ + leaf_tokens) {  // rows that the map does not have
      std::fill_n(w_.decay.get(), (leaf_tokens + m_.reach()) * step, 0.0f);
      std::fill_n(w_.write.get(), (leaf_tokens + m_.reach()) * step, 0.0f);
      std::fill_n(w_.read.get(), leaf_tokens * step, 0.0f);
    }
    for (std::size_t k = 0; k < Some::count; ++k) {
      Decays(c, n + k, count, step, w_.decay.get() + k * Width());
      Products(m_.of.core.write, w_.write_factor, first_, c, n + k, count, step, w_.write.get() + k * Width());
      Products(m_.of.core.read, w_.read_factor, low_, c, n + k, count, step, w_.read.get() + k * Width());
    }
    Blocks<Some>();
    constexpr std::size_t rows = rows_together<Some>;
    if (n == 0)
      for (std::size_t t = low_; t < high_; t += rows) Rows<Some, true>(t);
    else
      for (std::size_t t = low_; t < high_; t += rows) Rows<Some, false>(t);
  }
  HWY_INLINE void Decays(std::size_t c, std::size_t n, std::size_t count, std::size_t step, float* to) const {
    const map_lanes d;
    const recurrence<float>& core = m_.of.core;
    const map_vector one = hn::Set(d, 1.0f), scale = hn::Set(d, log2_of_e);
    const float* const u = w_.decay_factor.get();
    const std::size_t tokens = high_ - first_, width = Width();
    if (core.logarithmic && core.decay.v.of(axis::token) == 1) {
      const map_vector v = hn::Max(hn::Set(d, -1e30f), hn::Mul(Channels(core.decay.v, c, n, count), scale));
      for (std::size_t i = 0; i < tokens; ++i)
        hn::Store(PowerOfTwo(hn::Mul(hn::Load(d, u + i * width), v)), d, to + i * step);
      return;
    }
    const bool logarithmic = core.logarithmic;
    const auto put = [=](std::size_t i, map_vector v) HWY_ATTR {
      const map_vector x = hn::Mul(hn::Load(d, u + i * width), v);
      hn::Store(logarithmic ? PowerOfTwo(hn::Mul(x, scale)) : hn::Max(hn::Add(x, one), hn::Zero(d)), d, to + i * step);
    };
    Vectors(core.decay.v, first_, c, n, count, put);
  }
  HWY_INLINE void Products(const factored<float>& f, const working_memory& factor, std::size_t begin, std::size_t c,
                           std::size_t n, std::size_t count, std::size_t step, float* to) const {
    const map_lanes d;
    const float* const u = factor.get();
    Vectors(f.v, begin, c, n, count, [=](std::size_t i, map_vector v) HWY_ATTR {
      hn::Store(hn::Mul(hn::Load(d, u + i * hn::Lanes(d)), v), d, to + i * step);
    });
  }
  /// As EachToken, also where the stream is the same for all tokens.
  template <class F>
  HWY_INLINE void Vectors(const view<const float>& v, std::size_t begin, std::size_t c, std::size_t n,
                          std::size_t count, F f) const {
    if (v.of(axis::token) > 1 || high_ - begin == 1) return EachToken(v, begin, high_, c, n, count, f);
    const map_vector x = Channels(v, c, n, count);
    for (std::size_t i = 0; i < high_ - begin; ++i) f(i, x);
  }

  /// The writes of each block of columns times their decay until its end, and at its first column that of all of it.
  template <class Some>
  HWY_INLINE void Blocks() const {
    const std::size_t step = Some::count * Width();
    for (std::size_t end = high_ - first_ - (high_ - low_) % block; end > 0;) {
      const std::size_t begin = Begin(end);
      Some until = Some::Load(w_.decay.get() + (end - 1) * step);
      Some::Load(w_.write.get() + (end - 1) * step).Store(w_.block_write.get() + (end - 1) * step);
      for (std::size_t s = end - 1; s-- > begin;) {
        Some write = Some::Load(w_.write.get() + s * step);
        write.Decay(until);
        write.Store(w_.block_write.get() + s * step);
        until.Decay(Some::Load(w_.decay.get() + s * step));
      }
      until.Store(w_.block_decay.get() + begin * step);
      end = begin;
    }
  }
  static std::size_t Begin(std::size_t end) { return end - std::min(end, block); }
  /// The first column of row t's own block.
  std::size_t Own(std::size_t t) const { return t - first_ - (t - low_) % block; }

  /// Some rows of read_t (product of decays) write_s from the latest column back to the first.
  template <class Some, bool First>
  HWY_INLINE void Rows(std::size_t t) const {
    if constexpr (rows_together<Some> == 2)
      Before<Some, First>(t, OwnBlock<Some, First>(t), OwnBlock<Some, First>(t + 1));
    else
      Before<Some, First>(t, OwnBlock<Some, First>(t), OwnBlock<Some, First>(t + 1), OwnBlock<Some, First>(t + 2),
                          OwnBlock<Some, First>(t + 3));
  }
  template <class Some, bool First>
  static HWY_INLINE void Add(const Some& h, const Some& write, float* to) {
    const map_lanes d;
    hn::Store(h.Dot(write, First ? hn::Zero(d) : hn::Load(d, to)), d, to);
  }
  /// The columns of row t's own block; what is read, decayed until the end of the block before.
  template <class Some, bool First>
  HWY_INLINE Some OwnBlock(std::size_t t) const {
    const std::size_t width = Width(), step = Some::count * width, own = Own(t);
    std::size_t columns = t - first_ + (m_.of.core.exclusive ? 0 : 1) - own;
    const float *decay = w_.decay.get() + (own + columns) * step, *write = w_.write.get() + (own + columns) * step;
    float* to = Entry(w_.core, t, first_) + (own + columns) * width;
    Some h = Some::Load(w_.read.get() + (t - low_) * step);
    for (; columns > 0; --columns) {
      decay -= step, write -= step, to -= width;
      Add<Some, First>(h, Some::Load(write), to);
      h.Decay(Some::Load(decay));
    }
    return h;
  }
  /// The columns of all blocks before that of the rows from t on.
  template <class Some, bool First, class... Reads>
  HWY_INLINE void Before(std::size_t t, Reads... h) const {
    const std::size_t width = Width(), step = Some::count * width, row = Row();
    std::size_t columns = Own(t);
    const float *decay = w_.block_decay.get() + columns * step, *write = w_.block_write.get() + columns * step;
    float* to = Entry(w_.core, t, first_) + columns * width;
    while (columns > 0) {
      const std::size_t count = std::min(columns, block);
      for (std::size_t i = 0; i < count; ++i) {
        write -= step, to -= width;
        const Some b = Some::Load(write);
        float* entry = to;
        ((Add<Some, First>(h, b, entry), entry += row), ...);
      }
      decay -= count * step, columns -= count;
      const Some all = Some::Load(decay);
      (h.Decay(all), ...);
    }
  }

  template <class F>
  HWY_INLINE void Filter(std::size_t c, std::size_t count, F combine) const {
    const map_lanes d;
    const std::size_t width = Width(), taps = m_.taps;
    float* const tap = w_.decay.get();  // free by now
    hn::Store(hn::Set(d, 1.0f), d, tap);
    if (const view<const float>& f = m_.of.taps; f.data != nullptr)
      for (std::size_t k = 0; k < taps; ++k) {
        view<const float> one = f.slice(axis::tap, f.of(axis::tap) - 1 - k, f.of(axis::tap) - k);
        hn::Store(Channels(one, c, 0, count), d, tap + k * width);
      }
    HWY_ALIGN float lane[most_lanes] = {};
    for (std::size_t i = 0; i < count; ++i) lane[i] = m_.of.weight.data[(c + i) * m_.of.weight.step(axis::chan)];
    const map_vector weight = hn::Load(d, lane), tap0 = hn::Load(d, tap);
    EachToken(m_.of.skip, low_, high_, c, 0, count, [this](std::size_t i, map_vector skip) HWY_ATTR {
      float* const diagonal = Entry(w_.core, low_ + i, low_ + i);
      hn::Store(m_.of.core.exclusive ? skip : hn::Add(skip, hn::Load(map_lanes(), diagonal)), map_lanes(), diagonal);
    });
    for (std::size_t t = low_; t < high_; ++t) {
      const float* core = Entry(w_.core, t, first_);
      float* taken = Entry(w_.taken, t, first_);
      std::size_t columns = t - first_ + 1;
      if (taps == 4) {
        const map_vector tap1 = hn::Load(d, tap + width), tap2 = hn::Load(d, tap + 2 * width),
                         tap3 = hn::Load(d, tap + 3 * width);
        for (; columns >= 4; --columns, core += width, taken += width) {
          const map_vector x = hn::MulAdd(hn::Load(d, core + width), tap1, hn::Mul(hn::Load(d, core), tap0));
          const map_vector y = hn::MulAdd(hn::Load(d, core + 2 * width), tap2, x);
          hn::Store(combine(weight, hn::MulAdd(hn::Load(d, core + 3 * width), tap3, y), hn::Load(d, taken)), d, taken);
        }
      }
      for (; columns > 0; --columns, core += width, taken += width) {
        map_vector x = hn::Mul(hn::Load(d, core), tap0);
        for (std::size_t k = 1; k < std::min(taps, columns); ++k)
          x = hn::MulAdd(hn::Load(d, core + k * width), hn::Load(d, tap + k * width), x);
        hn::Store(combine(weight, x, hn::Load(d, taken)), d, taken);
      }
    }
  }

  const maps::channels& m_;
  maps::leaf_scratch& w_;
  std::size_t low_, high_, first_;
};

void Leaf(const maps::channels& m, std::size_t low, maps::leaf_scratch& w, view<float> map) {
  leaf_of_map(m, low, w).Take(map);
}
std::size_t LeafLanes() { return hn::Lanes(map_lanes()); }

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
HWY_EXPORT(Leaf);
HWY_EXPORT(LeafLanes);

namespace maps {

leaf_scratch::leaf_scratch(const channels& m) {
  const std::size_t width = HWY_DYNAMIC_DISPATCH(LeafLanes)(), columns = leaf_tokens + m.reach();
  for (working_memory* b : {&decay, &write, &read, &block_decay, &block_write})
    *b = allocate_working(most_leaf_states * columns * width);
  for (working_memory* b : {&decay_factor, &write_factor, &read_factor}) *b = allocate_working(columns * width);
  for (working_memory* b : {&core, &taken}) *b = allocate_working(leaf_tokens * columns * width);
}

void leaf(const channels& m, std::size_t low, leaf_scratch& w, view<float> map) {
  HWY_DYNAMIC_DISPATCH(Leaf)(m, low, w, map);
}

}  // namespace maps
}  // namespace alphaform::cpu
#endif

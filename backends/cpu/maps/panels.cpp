// Panels of a slab: for each group of channels its lines, then for each node and channel what those give.
#include <alphaform/backends/cpu/maps/panels.hpp>
#include <alphaform/backends/parallel.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/maps/panels.cpp"
// The choice of instructions comes before what is compiled for each.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <alphaform/backends/cpu/maps/emission-inl.hpp>
#include <alphaform/backends/cpu/maps/lines-inl.hpp>
#include <alphaform/backends/cpu/maps/token_rows-inl.hpp>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// One side (reads or writes) of a channel's factors that need not be multiplied out.
struct side final {
  const factored<float>& of;
  maps::lines& vector;
  bool varies, by_channel;
  side(const factored<float>& f, maps::lines& v)
      : of(f), vector(v), varies(f.v.of(axis::token) > 1), by_channel(varies && f.v.of(axis::chan) > 1) {}
};

class slab_panels {
 public:
  slab_panels(const maps::channels& m, const maps::decay_totals& t, const maps::square& q, const maps::slab& s,
              maps::panel_scratch& w, float* panels, bool halves)
      : m_(m),
        totals_(t),
        q_(q),
        s_(s),
        w_(w),
        panels_(panels),
        halves_(halves),
        by_token_(halves && maps::rows_of_halves(m) == maps::layout::by_token),
        read_(m.of.core.read, w.row_vector),
        write_(m.of.core.write, w.column_vector),
        scale_(w.numbers.get()),
        tap_(scale_ + 3 * m.states) {}

  void Fill() const {
    const std::size_t width = hn::Lanes(map_lanes()), end = s_.channel + s_.channels;
    for (std::size_t c = s_.channel; c < end; c += width) Group(c, std::min(width, end - c));
    for (std::size_t k = 0; k < q_.nodes.size(); ++k) {
      const maps::node_panels p = maps::panels_of(q_, k, s_.pitch(), panels_);
      if (!by_token_) Pad(p.rows, maps::panel_lines(q_.nodes[k].rows));
      Pad(p.columns, maps::panel_lines(q_.nodes[k].columns));
    }
  }

 private:
  /// The depths that no state has.
  void Pad(float* panel, std::size_t groups) const {
    for (std::size_t k = s_.channels * m_.states; k < s_.depth; ++k) {
      const panel_depth to = Depth(panel, k / m_.states, k % m_.states);
      for (std::size_t i = 0; i < groups * leaf_tokens; i += hn::Lanes(map_lanes())) to.Put(i, hn::Zero(map_lanes()));
    }
  }
  /// That of state n of the slab's channel number c.
  panel_depth Depth(float* panel, std::size_t c, std::size_t n) const {
    constexpr std::size_t words = maps::unit_words;
    if (!by_token_) return {panel, s_.pitch(), c * m_.states + n, halves_, 2};
    return {panel, s_.pitch(), (c / words * m_.states + n) / 2 * 2 * words + c % words * 2 + n % 2, halves_, 2 * words};
  }

  HWY_INLINE void Group(std::size_t c, std::size_t count) const {
    const auto row = static_cast<std::ptrdiff_t>(q_.row), column = First();
    const std::size_t columns = q_.columns + m_.reach();
    if (by_token_)
      Lanes(c, count);
    else
      Stream(read_.of.u, row, q_.rows, c, 0, count, w_.row_factor);
    HWY_ALIGN float factors[most_lanes] = {};
    for (std::size_t i = 0; i < count; ++i)
      factors[i] = (m_.over == over_channels::sum ? Weight(c + i) : 1) * (m_.taps == 1 ? Tap(c + i, 0) : 1);
    Stream(write_.of.u, column, columns, c, 0, count, w_.column_factor, factors);
    const bool one_by_one = maps::states_one_by_one(m_);
    for (std::size_t n = 0; n < (one_by_one ? m_.states : 1); ++n) {
      if (read_.by_channel) Stream(read_.of.v, row, q_.rows, c, n, count, w_.row_vector);
      if (write_.by_channel) Stream(write_.of.v, column, columns, c, n, count, w_.column_vector);
      for (std::size_t k = 0; k < q_.nodes.size(); ++k) {
        const node_sums sums(m_, totals_, w_, c, m_.sums_by_state ? n : 0, count);
        sums.Rows(q_.nodes[k], by_token_);
        sums.Columns(q_.nodes[k]);
        if (by_token_) RowsByToken(q_.nodes[k], maps::panels_of(q_, k, s_.pitch(), panels_).rows, c);
        for (std::size_t i = 0; i < count; ++i) {
          if (k == 0 && n == 0) FetchNext(c + hn::Lanes(map_lanes()), i, count);
          Channel(k, c + i, i, n, one_by_one ? 1 : m_.states);
        }
      }
    }
  }

  /// Part i of `parts` of what the group at channel c starts with.
  HWY_INLINE void FetchNext(std::size_t c, std::size_t i, std::size_t parts) const {
    if (c >= m_.count) return;
    const recurrence<float>& core = m_.of.core;
    const std::size_t row = q_.row + q_.rows * i / parts, row_end = q_.row + q_.rows * (i + 1) / parts;
    FetchTokens(core.read.u, row, row_end, c);
    FetchTokens(core.decay.u, row, row_end, c);
    const std::size_t column = q_.column + q_.columns * i / parts,
                      column_end = std::min(m_.tokens, q_.column + q_.columns * (i + 1) / parts);
    if (column >= column_end) return;
    FetchTokens(core.write.u, column, column_end, c);
    if (q_.column != q_.row) FetchTokens(core.decay.u, column, column_end, c);
  }

  /// Number i of the lanes times its `factors`.
  HWY_INLINE void Stream(const view<const float>& x, std::ptrdiff_t first, std::size_t tokens, std::size_t c,
                         std::size_t n, std::size_t count, maps::lines& to, const float* factors = nullptr) const {
    const auto scan = [factors](float* strip, std::size_t, std::size_t, std::size_t length) HWY_ATTR {
      const map_lanes d;
      if (factors == nullptr) return;
      const map_vector scale = hn::Load(d, factors);
      for (; length > 0; --length, strip += hn::Lanes(d)) hn::Store(hn::Mul(scale, hn::Load(d, strip)), d, strip);
    };
    ToLines(
        first, tokens, m_.tokens, to.length, w_.strip.at.get(), to,
        [&x, c, n, count](std::size_t begin, std::size_t end, auto f)
            HWY_ATTR { EachToken(x, begin, end, c, n, count, f); },
        scan);
  }

  /// States [n, n + states) of channel c, the group's number i.
  HWY_INLINE void Channel(std::size_t k, std::size_t c, std::size_t i, std::size_t n, std::size_t states) const {
    const maps::node& node = q_.nodes[k];
    const maps::node_panels p = maps::panels_of(q_, k, s_.pitch(), panels_);
    const std::size_t number = c - s_.channel;
    for (std::size_t t = 0; t < m_.taps; ++t) tap_[t] = Tap(c, t);
    for (std::size_t s = 0; s < states; ++s) scale_[s] = Scale(c, n + s);
    const emission reads = Emission(read_, i, c, n, states, w_.row_factor, w_.row_sum, node.row - q_.row),
                   writes = Emission(write_, i, c, n, states, w_.column_factor, w_.column_sum, node.column - q_.column);
    const std::size_t rows = maps::panel_lines(node.rows) * leaf_tokens, columns = node.columns;
    if (m_.magnitudes) {
      Side<true>(reads, read_.varies, 1, rows, 1, Depth(p.rows, number, n));
      Side<true>(writes, write_.varies, m_.taps, columns, Weight(c), Depth(p.columns, number, n));
    } else {
      if (!by_token_) Side<false>(reads, read_.varies, 1, rows, 1, Depth(p.rows, number, n));
      Side<false>(writes, write_.varies, m_.taps, columns, 1, Depth(p.columns, number, n));
    }
  }

  /// What rows with channels side by side need of those from c on: their factors, and for each state a vector of scales
  /// and one of numbers.
  HWY_INLINE void Lanes(std::size_t c, std::size_t count) const {
    ToStrip(
        static_cast<std::ptrdiff_t>(q_.row), q_.rows, m_.tokens, w_.row_factor.length, w_.row_factor.at.get(),
        [this, c, count](std::size_t begin, std::size_t end, auto f)
            HWY_ATTR { EachToken(read_.of.u, begin, end, c, 0, count, f); },
        [](float*, std::size_t, std::size_t, std::size_t) {});
    float* const scales = w_.of_lanes.get();
    float* const numbers = scales + maps::unit_words * m_.states;
    for (std::size_t n = 0; n < m_.states; ++n)
      for (std::size_t i = 0; i < maps::unit_words; ++i) {
        scales[maps::unit_words * n + i] = i < count ? Scale(c + i, n) : 0;
        numbers[maps::unit_words * n + i] = i < count ? Number(read_, c + i, n) : 0;
      }
  }
  HWY_INLINE void RowsByToken(const maps::node& k, float* panel, std::size_t c) const {
    const std::size_t offset = k.row - q_.row, line = read_.of.v.of(axis::state) > 1 ? w_.row_vector.length : 0;
    const float *const scales = w_.of_lanes.get(), *const numbers = scales + maps::unit_words * m_.states;
    for (std::size_t t = 0; t < maps::panel_lines(k.rows) * leaf_tokens; t += leaf_tokens)
      for (std::size_t n = 0; n < m_.states; n += 2) {
        const float* const v = w_.row_vector.at.get() + n * line + offset + t;
        const tokens_of_two_states of{w_.row_factor.at.get() + maps::unit_words * (offset + t),
                                      w_.row_sum.at.get() + maps::unit_words * t,
                                      {v, v + line},
                                      scales + maps::unit_words * n,
                                      numbers + maps::unit_words * n};
        float* const to = maps::halves_at(panel + t * s_.pitch(), Depth(panel, c - s_.channel, n).depth, 0);
        if (read_.varies)
          of.Emit<true>(to);
        else
          of.Emit<false>(to);
      }
  }
  template <bool Magnitudes>
  HWY_INLINE void Side(const emission& e, bool varies, std::size_t taps, std::size_t tokens, float last,
                       panel_depth to) const {
    float* const line = w_.filtered.get();
    if (taps == 1 && varies)
      Emit<Magnitudes, true>(e, tokens, last, to);
    else if (taps == 1)
      Emit<Magnitudes, false>(e, tokens, last, to);
    else if (taps == 4 && varies)
      EmitFiltered<Magnitudes, true, 4>(e, tap_, taps, tokens, last, line, to);
    else if (varies)
      EmitFiltered<Magnitudes, true, 0>(e, tap_, taps, tokens, last, line, to);
    else
      EmitFiltered<Magnitudes, false, 0>(e, tap_, taps, tokens, last, line, to);
  }

  emission Emission(const side& x, std::size_t i, std::size_t c, std::size_t n, std::size_t states,
                    const maps::lines& factor, const maps::lines& sum, std::size_t offset) const {
    float* const number = scale_ + m_.states * (&x == &read_ ? 1 : 2);
    const view<const float>& v = x.of.v;
    const std::size_t line = x.vector.length;
    for (std::size_t s = 0; s < states; ++s) number[s] = Number(x, c, n + s);
    const float* at = x.vector.at.get() + offset;
    if (x.by_channel)
      at += i * line;
    else if (v.of(axis::state) > 1)
      at += n * line;
    return {factor.at.get() + i * factor.length + offset,
            sum.at.get() + i * sum.length,
            at,
            x.by_channel || v.of(axis::state) == 1 ? 0 : line,
            states,
            scale_,
            number};
  }

  float Number(const side& x, std::size_t c, std::size_t n) const {
    const view<const float>& v = x.of.v;
    return x.varies ? 1 : v.data[c * v.step(axis::chan) + n * v.step(axis::state)];
  }
  float Weight(std::size_t c) const { return m_.of.weight.data[c * m_.of.weight.step(axis::chan)]; }
  float Tap(std::size_t c, std::size_t k) const {
    const view<const float>& f = m_.of.taps;
    return f.data == nullptr ? 1 : f.data[c * f.step(axis::chan) + (f.of(axis::tap) - 1 - k) * f.step(axis::tap)];
  }
  float Scale(std::size_t c, std::size_t n) const {
    const recurrence<float>& core = m_.of.core;
    const view<const float>& v = core.decay.v;
    if (m_.sums_by_state || !core.logarithmic || v.of(axis::token) > 1) return 1;
    const float x = log2_of_e * v.data[c * v.step(axis::chan) + n * v.step(axis::state)];
    return std::max(x, -1e30f);  // that an empty sum's 0 times it is 0
  }
  std::ptrdiff_t First() const {
    return static_cast<std::ptrdiff_t>(q_.column) - static_cast<std::ptrdiff_t>(m_.reach());
  }

  const maps::channels& m_;
  const maps::decay_totals& totals_;
  const maps::square& q_;
  const maps::slab& s_;
  maps::panel_scratch& w_;
  float* panels_;
  bool halves_, by_token_;
  side read_, write_;
  float *scale_, *tap_;
};

void FillPanels(const maps::channels& m, const maps::decay_totals& t, const maps::square& q, const maps::slab& s,
                maps::panel_scratch& w, float* panels, bool halves) {
  slab_panels(m, t, q, s, w, panels, halves).Fill();
}

void TotalDecays(const maps::channels& m, std::size_t begin, std::size_t end, float* sums) {
  const map_lanes d;
  HWY_ALIGN float lane[most_lanes];
  for (std::size_t n = 0; n < m.sums(); ++n)
    for (std::size_t c = 0; c < m.count; c += hn::Lanes(d)) {
      const std::size_t count = std::min(hn::Lanes(d), m.count - c);
      map_vector sum = hn::Zero(d);
      EachDecay(m, begin, end, c, n, count, [&sum](std::size_t, map_vector x) HWY_ATTR { sum = hn::Add(sum, x); });
      hn::Store(sum, d, lane);
      std::copy_n(lane, count, sums + n * m.count + c);
    }
}

std::size_t MapLanes() { return hn::Lanes(map_lanes()); }

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
HWY_EXPORT(FillPanels);
HWY_EXPORT(TotalDecays);
HWY_EXPORT(MapLanes);

namespace maps {

void lines::resize(std::size_t count, std::size_t tokens) {
  length = panel_lines(tokens) * leaf_tokens + leaf_tokens;  // vectors may read on behind
  at = allocate_working(count * length);
  std::fill_n(at.get(), count * length, 0.0f);
}

panel_scratch::panel_scratch(const channels& m, const square& q)
    : numbers(allocate_working(3 * m.states + m.taps)),
      filtered(allocate_working(q.columns + m.reach() + 3 * leaf_tokens)) {
  const std::size_t width = HWY_DYNAMIC_DISPATCH(MapLanes)(), columns = q.columns + m.reach();
  of_lanes = allocate_working(2 * unit_words * m.states);
  strip.resize(width, std::max(q.rows, columns));
  row_factor.resize(width, q.rows);
  row_sum.resize(width, q.rows);
  column_factor.resize(width, columns);
  column_sum.resize(width, columns);
  row_vector.resize(std::max(width, m.states), q.rows);
  column_vector.resize(std::max(width, m.states), columns);
  // Vectors of states that all channels share.
  const auto share = [&m](const view<const float>& v, std::ptrdiff_t first, std::size_t count, lines& to) {
    if (v.of(axis::token) == 1 || v.of(axis::chan) > 1) return;
    for (std::size_t n = 0; n < v.of(axis::state); ++n)
      for (std::size_t i = 0; i < count; ++i) {
        const std::ptrdiff_t t = first + static_cast<std::ptrdiff_t>(i);
        if (t < 0 || t >= static_cast<std::ptrdiff_t>(m.tokens)) continue;
        to.at[n * to.length + i] = v.data[static_cast<std::size_t>(t) * v.step(axis::token) + n * v.step(axis::state)];
      }
  };
  share(m.of.core.read.v, static_cast<std::ptrdiff_t>(q.row), q.rows, row_vector);
  share(m.of.core.write.v, static_cast<std::ptrdiff_t>(q.column) - static_cast<std::ptrdiff_t>(m.reach()), columns,
        column_vector);
}

bool states_one_by_one(const channels& m) {
  const auto by_channel = [](const view<const float>& v) { return v.of(axis::token) > 1 && v.of(axis::chan) > 1; };
  return m.sums_by_state || by_channel(m.of.core.read.v) || by_channel(m.of.core.write.v);
}
layout rows_of_halves(const channels& m) {
  const bool whole =
      m.states % 2 == 0 && slab_channels(m) % unit_words == 0 && HWY_DYNAMIC_DISPATCH(MapLanes)() == unit_words;
  return whole && !states_one_by_one(m) ? layout::by_token : layout::by_depth;
}
bool pairs_in_order(const channels& m) { return !states_one_by_one(m) || m.states == 1 || m.states % 2 == 0; }

node_panels panels_of(const square& q, std::size_t node, std::size_t pitch, float* all) {
  for (std::size_t k = 0; k < node; ++k)
    all += (panel_lines(q.nodes[k].rows) + panel_lines(q.nodes[k].columns)) * leaf_tokens * pitch;
  return {all, all + panel_lines(q.nodes[node].rows) * leaf_tokens * pitch};
}
std::size_t panel_floats(const square& q, std::size_t pitch) {
  std::size_t n = 0;
  for (const node& k : q.nodes) n += (panel_lines(k.rows) + panel_lines(k.columns)) * leaf_tokens * pitch;
  return n;
}

decay_totals total_decays(const channels& m) {
  const std::size_t side = square_tokens(m.tokens), count = m.tokens / side, sums = m.sums() * m.count;
  decay_totals totals{side, std::vector<float>(count * sums)};
  parallel(count, [&](std::size_t k) {
    const entered<float> flush(cpu_kernels());
    HWY_DYNAMIC_DISPATCH(TotalDecays)(m, k * side, (k + 1) * side, totals.sums.data() + k * sums);
  });
  return totals;
}

void fill_panels(const channels& m, const decay_totals& t, const square& q, const slab& s, panel_scratch& w,
                 float* panels, bool halves) {
  HWY_DYNAMIC_DISPATCH(FillPanels)(m, t, q, s, w, panels, halves);
}

}  // namespace maps
}  // namespace alphaform::cpu
#endif

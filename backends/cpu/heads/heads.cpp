#include <alphaform/backends/cpu/heads/heads.hpp>
#include <alphaform/backends/cpu/memory.hpp>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/heads/heads.cpp"
// The choice of instructions comes before what is compiled for each.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <alphaform/backends/cpu/heads/scores-inl.hpp>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// Memory of one thread: a chunk's rows, and the state as panels [state, tile_columns()] of channels.
struct head_memory final {
  working_memory kept;
  std::size_t size = 0, rows = 0;

  /// Numbers of which the first `zeros` are 0 but for what was written to rows of the same form before.
  float* at_least(std::size_t count, std::size_t form, std::size_t zeros) {
    if (count > size) {
      kept = allocate_working(count);
      size = count;
      rows = 0;
    }
    if (rows != form) std::fill_n(kept.get(), zeros, 0.0f);
    rows = form;
    return kept.get();
  }
};

struct head_workspace final {
  head_chunk chunk;
  float *x, *state;
};

/// @param way  in which rows are made, from 0 to 2
HWY_INLINE head_workspace workspace_of(std::size_t states, std::size_t channels, std::size_t way) {
  static thread_local head_memory memory;
  const std::size_t step = (states + 15) / 16 * 16 + 16, rows = chunk_tokens * step, wide = tile_columns();
  const std::size_t panels = (channels + wide - 1) / wide;
  const std::size_t before = 7 * rows + chunk_tokens * score_step + 2 * step + (step + chunk_tokens) * wide;
  float* p = memory.at_least(before + panels * states * wide, 1 + 3 * states + way, before);  // rows end in zeros
  const auto take = [&p](std::size_t count) { return std::exchange(p, p + count); };
  head_workspace w;
  w.chunk.step = step;
  for (float** part : {&w.chunk.reads, &w.chunk.writes, &w.chunk.raw_reads, &w.chunk.raw_writes, &w.chunk.logs,
                       &w.chunk.left, &w.chunk.right})
    *part = take(rows);
  w.chunk.scores = take(chunk_tokens * score_step);
  w.chunk.kept = take(step);
  w.chunk.added = take(step);
  w.chunk.transposed = take(step * wide);
  w.x = take(chunk_tokens * wide);
  w.state = p;
  return w;
}

/// The chunk's results for one panel of channels, and its state after the chunk.
HWY_INLINE void advance_panel(const head& p, const head_chunk& c, const float* x, std::size_t first, std::size_t count,
                              std::size_t channel, std::size_t channels, float* state) {
  const lanes d;
  const std::size_t width = hn::Lanes(d), wide = tile_columns();
  for (std::size_t i = 0; i < count; i += tile_rows) {
    const factors f[]{{c.scores + i * score_step, score_step, 1, x, wide, std::min(count, i + tile_rows)},
                      {c.reads + i * c.step, c.step, 1, state, wide, p.states}};
    tile(std::min(tile_rows, count - i), f, f + 2, [&](std::size_t r, auto left, auto right) HWY_ATTR {
      float* y =
          p.y + static_cast<std::ptrdiff_t>(first + i + r) * p.y_step + static_cast<std::ptrdiff_t>(channel) * p.y_chan;
      if (p.y_chan == 1 && channels == wide) {
        hn::StoreU(left, d, y);
        hn::StoreU(right, d, y + width);
        return;
      }
      HWY_ALIGN float row[most_tile_columns];
      hn::StoreU(left, d, row);
      hn::StoreU(right, d, row + width);
      for (std::size_t k = 0; k < channels; ++k) y[static_cast<std::ptrdiff_t>(k) * p.y_chan] = row[k];
    });
  }
  for (std::size_t n = 0; n < p.states; n += tile_rows) {
    const factors f{c.writes + n, 1, c.step, x, wide, count};
    tile(std::min(tile_rows, p.states - n), &f, &f + 1, [&](std::size_t r, auto left, auto right) HWY_ATTR {
      float* s = state + (n + r) * wide;
      const auto kept = hn::Set(d, c.kept[n + r]), added = hn::Set(d, c.added[n + r]);
      const auto s0 = hn::LoadU(d, s), s1 = hn::LoadU(d, s + width);
      hn::StoreU(hn::MulAdd(kept, s0, hn::MulAdd(added, s0, left)), d, s);
      hn::StoreU(hn::MulAdd(kept, s1, hn::MulAdd(added, s1, right)), d, s + width);
    });
  }
}

/// What each of at most chunk_tokens tokens gets of its own input beside what the state gives: the sum over the state
/// of bonus, read and write, 0 without a bonus. `row` is memory for a row of the same step; rows end in zeros.
struct bonus_of_tokens final {
  float of[chunk_tokens] = {};

  HWY_INLINE bonus_of_tokens(const head& p, std::size_t first, std::size_t count, const float* reads,
                             const float* writes, float* row, std::size_t step) {
    if (!p.bonus) return;
    const lanes d;
    const bool is_constant = p.bonus->u_step == 0 && p.bonus->v_step == 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i == 0 || !is_constant) p.bonus->row(first + i, p.states, 1, row);
      auto sum = hn::Zero(d);
      for (std::size_t k = 0; k < p.states; k += hn::Lanes(d))
        sum = hn::MulAdd(hn::Mul(hn::LoadU(d, reads + i * step + k), hn::LoadU(d, writes + i * step + k)),
                         hn::LoadU(d, row + k), sum);
      of[i] = hn::GetLane(hn::SumOfLanes(d, sum));
    }
  }
};

HWY_INLINE void head_by_chunks(const head& p) {
  const lanes d;
  const std::size_t wide = tile_columns();
  const head_workspace w = workspace_of(p.states, p.channels, p.one_decay ? 0 : 1);
  for (std::size_t k = 0; k < p.channels; k += wide)
    transpose(d, p.h + k * p.h_chan, p.h_chan, std::min(wide, p.channels - k), p.states, w.state + k * p.states, wide);
  for (std::size_t first = 0; first < p.tokens; first += chunk_tokens) {
    const std::size_t count = std::min(chunk_tokens, p.tokens - first);
    (p.one_decay ? prepare_by_token : prepare_by_state)(p, w.chunk, first, count);
    if (p.bonus) {
      const bonus_of_tokens bonus(p, first, count, w.chunk.raw_reads, w.chunk.raw_writes, w.chunk.left, w.chunk.step);
      for (std::size_t i = 0; i < count; ++i) w.chunk.scores[i * (score_step + 1)] += bonus.of[i];
    }
    for (std::size_t k = 0; k < p.channels; k += wide) {
      const std::size_t channels = std::min(wide, p.channels - k);
      for (std::size_t i = 0; i < count; ++i)
        copy_strided(
            p.x + static_cast<std::ptrdiff_t>(first + i) * p.x_step + static_cast<std::ptrdiff_t>(k) * p.x_chan,
            p.x_chan, channels, w.x + i * wide);
      advance_panel(p, w.chunk, w.x, first, count, k, channels, w.state + k * p.states);
    }
  }
  for (std::size_t k = 0; k < p.channels; k += wide)
    transpose(d, w.state + k * p.states, wide, p.states, std::min(wide, p.channels - k), p.h + k * p.h_chan, p.h_chan);
}

/// The states [begin, end) of a channel at one token, whole vectors of them, and what y gets of them.
template <turn Order, class D>
HWY_INLINE float step_states(D d, const head_chunk& c, std::size_t row, float x, std::size_t begin, std::size_t end,
                             float* state) {
  const auto scale = hn::Set(d, x);
  auto y = hn::Zero(d);
  for (std::size_t k = begin; k < end; k += hn::Lanes(d)) {
    const std::size_t at = row * c.step + k;
    const auto kept = hn::LoadU(d, c.left + at), added = hn::LoadU(d, c.right + at);
    const auto write = hn::LoadU(d, c.writes + at), read = hn::LoadU(d, c.reads + at);
    auto h = hn::LoadU(d, state + k);
    if constexpr (Order == turn::decay_write_read) {
      h = hn::MulAdd(kept, h, hn::MulAdd(added, h, hn::Mul(write, scale)));
      y = hn::MulAdd(read, h, y);
    } else if constexpr (Order == turn::read_decay_write) {
      y = hn::MulAdd(read, h, y);
      h = hn::MulAdd(kept, h, hn::MulAdd(added, h, hn::Mul(write, scale)));
    } else {
      h = hn::MulAdd(write, scale, h);
      y = hn::MulAdd(read, h, y);
      h = hn::MulAdd(kept, h, hn::Mul(added, h));
    }
    hn::StoreU(h, d, state + k);
  }
  return begin < end ? hn::GetLane(hn::SumOfLanes(d, y)) : 0;
}

/// Token after token, for windows that are too short for products.
template <turn Order>
HWY_INLINE void head_by_tokens(const head& p) {
  const lanes d;
  const hn::CappedTag<float, 4> few;
  const hn::CappedTag<float, 1> one;
  const head_chunk c = workspace_of(p.states, 0, 2).chunk;
  for (std::size_t i = 0; i < p.tokens; ++i) {
    float* const logs = c.logs + i * c.step;
    p.reader.row(i, p.states, 1, c.reads + i * c.step);
    p.writer.row(i, p.states, 1, c.writes + i * c.step);
    p.decay.row(i, p.states, 1, logs);
    to_logs(p.logarithmic, p.states, logs);
    split_decay(logs, p.states, c.left + i * c.step, c.right + i * c.step);
  }
  const bonus_of_tokens bonus(p, 0, p.tokens, c.reads, c.writes, c.raw_reads, c.step);
  const std::size_t whole = p.states / hn::Lanes(d) * hn::Lanes(d), most = p.states / hn::Lanes(few) * hn::Lanes(few);
  for (std::size_t k = 0; k < p.channels; ++k)
    for (std::size_t i = 0; i < p.tokens; ++i) {
      const auto t = static_cast<std::ptrdiff_t>(i), channel = static_cast<std::ptrdiff_t>(k);
      const float x = p.x[t * p.x_step + channel * p.x_chan];
      float* const state = p.h + k * p.h_chan;
      p.y[t * p.y_step + channel * p.y_chan] =
          step_states<Order>(d, c, i, x, 0, whole, state) + step_states<Order>(few, c, i, x, whole, most, state) +
          step_states<Order>(one, c, i, x, most, p.states, state) + bonus.of[i] * x;
    }
}

HWY_INLINE void run_head(const head& p) {
  if (p.tokens >= 16) return head_by_chunks(p);
  if (p.order == turn::decay_write_read) return head_by_tokens<turn::decay_write_read>(p);
  if (p.order == turn::read_decay_write) return head_by_tokens<turn::read_decay_write>(p);
  head_by_tokens<turn::write_read_decay>(p);
}

/// The entries of one head, from the last token on if backward.
struct entries final {
  const float* first;
  std::ptrdiff_t step;
};
HWY_INLINE entries entries_of(view<const float> v, std::size_t group, std::size_t number, bool backward) {
  const float* data = v.data + group * v.step(axis::group) + number * v.step(axis::head);
  const auto step = static_cast<std::ptrdiff_t>(v.step(axis::token));
  if (!backward) return {data, step};
  return {data + (v.of(axis::token) - 1) * v.step(axis::token), -step};
}

void run_heads(const recurrence<float>& r, view<const float> x, view<float> h, view<float> y, bool adjoint) {
  for (std::size_t group = 0; group < y.of(axis::group); ++group)
    for (std::size_t number = 0; number < y.of(axis::head); ++number) {
      const auto entries_in = [=](view<const float> v) { return entries_of(v, group, number, adjoint); };
      const auto stream = [=](const factored<float>& f) {
        const entries u = entries_in(f.u), v = entries_in(f.v);
        return head_stream{u.first, v.first, u.step, v.step, static_cast<std::ptrdiff_t>(f.v.step(axis::state))};
      };
      const entries from = entries_in(x), to = entries_in(y);
      head p;
      p.decay = stream(r.decay);
      p.reader = stream(adjoint ? r.write : r.read);
      p.writer = stream(adjoint ? r.read : r.write);
      p.x = from.first;
      p.x_step = from.step;
      p.x_chan = static_cast<std::ptrdiff_t>(x.step(axis::chan));
      p.y = y.data + (to.first - y.data);
      p.y_step = to.step;
      p.y_chan = static_cast<std::ptrdiff_t>(y.step(axis::chan));
      p.h = h.data + group * h.step(axis::group) + number * h.step(axis::head);
      p.h_chan = h.step(axis::chan);
      p.tokens = y.of(axis::token);
      p.channels = y.of(axis::chan);
      p.states = h.of(axis::state);
      p.logarithmic = r.logarithmic;
      p.one_decay = r.decay.v.of(axis::state) == 1;
      if (r.bonus) p.bonus = stream(*r.bonus);
      p.order = r.exclusive ? turn::read_decay_write : adjoint ? turn::write_read_decay : turn::decay_write_read;
      run_head(p);
    }
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {

HWY_EXPORT(run_heads);

bool shares_decay_among_channels(const recurrence<float>& r, view<const float> x) {
  const factored<float> all[]{r.decay, r.write, r.read, r.bonus ? *r.bonus : r.read};
  for (const axis a : {axis::rank, axis::tap, axis::part, axis::column}) {
    if (x.of(a) != 1) return false;
    for (const factored<float>& f : all)
      if (f.u.of(a) != 1 || f.v.of(a) != 1) return false;
  }
  for (const factored<float>& f : all)
    if (f.u.of(axis::chan) != 1 || f.v.of(axis::chan) != 1 || f.u.of(axis::state) != 1) return false;
  return x.of(axis::state) == 1;
}

void unrolled_heads(const recurrence<float>& r, view<const float> x, view<float> h, view<float> y) {
  HWY_DYNAMIC_DISPATCH(run_heads)(r, x, h, y, false);
}

void unrolled_heads_adjoint(const recurrence<float>& r, view<const float> g, view<float> h, view<float> y) {
  HWY_DYNAMIC_DISPATCH(run_heads)(r, g, h, y, true);
}

}  // namespace alphaform::cpu
#endif

// Recurrences of transition diagonal plus rank one as passes over the state (rank_one_passes-inl.hpp). What differs
// between h_t and h_{t-1} under the read, and between the recurrence and its transpose, is only which token a pass
// takes each of its rows from.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/heads/rank_one.cpp"
// The choice of targets comes first.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <alphaform/backends/cpu/heads/rank_one.hpp>
#include <alphaform/backends/cpu/heads/rank_one_passes-inl.hpp>
#include <alphaform/backends/cpu/memory.hpp>
#include <alphaform/backends/cpu/simd/math-inl.hpp>
#include <alphaform/backends/cpu/products/products-inl.hpp>
#include <hwy/cache_control.h>
#include <utility>
// clang-format on

#ifndef ALPHAFORM_BACKENDS_CPU_RANK_ONE
#define ALPHAFORM_BACKENDS_CPU_RANK_ONE
namespace alphaform::cpu {
namespace {

/// The recurrence as the passes see it. A pass s = 0 ... T takes its transition from the visited token s - 1 and probes
/// for the one of s; it writes and reads s - 1 or s.
struct passes final {
  recurrence<float> diagonal;  ///< write and read as this direction has them
  factored<float> correct, probe;
  bool backward = false;
  std::size_t write_lag = 1, read_lag = 1;
};

bool is_single(view<const float> v, float value) { return volume(v.size) == 1 && *v.data == value; }
bool same_rows(const factored<float>& a, const factored<float>& b) {
  return a.v.data == b.v.data && a.v.stride == b.v.stride && a.u.step(axis::state) == 0 && b.u.step(axis::state) == 0;
}

}  // namespace
}  // namespace alphaform::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

/// A stream of one head.
struct place final {
  const float* at;
  std::size_t token, state;  // steps
};
struct places final {
  place u, v;
};

HWY_INLINE vec entries(const float* p, std::size_t step, std::size_t i, std::size_t n) {
  if (step == 0) return hn::Set(d, *p);
  if (step == 1 && i + hn::Lanes(d) <= n) return hn::LoadU(d, p + i);
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
  for (std::size_t k = 0; k < std::min(hn::Lanes(d), n - i); ++k) part[k] = p[(i + k) * step];
  return hn::Load(d, part);
}

/// u v of one token as a row, or e^(u v) - 1; behind its n entries come zeros up to a whole vector.
void pack_row(const places& f, std::size_t t, std::size_t n, bool exponential, float* row) {
  const float *u = f.u.at + t * f.u.token, *v = f.v.at + t * f.v.token;
  const bool repeats = f.u.state == 0 && f.v.state == 0;
  std::size_t i = 0;
  if (f.u.state == 0 && f.v.state == 1)
    for (const vec factor = hn::Set(d, *u); i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
      const vec value = hn::Mul(factor, hn::LoadU(d, v + i));
      hn::Store(exponential ? Expm1(d, value) : value, d, row + i);
    }
  for (; i < n; i += hn::Lanes(d)) {
    vec value = hn::Mul(entries(u, f.u.state, i, n), entries(v, f.v.state, i, n));
    if (exponential) value = Expm1(d, value);
    hn::Store(value, d, row + i);
    for (std::size_t k = hn::Lanes(d); repeats && k < n; k += hn::Lanes(d)) hn::Store(value, d, row + k);
    if (repeats) break;
  }
  for (i = n; i < hwy::RoundUpTo(n, hn::Lanes(d)); ++i) row[i] = 0;
}

/// What all heads share, and room for one of them.
class heads final {
 public:
  heads(const passes& r, std::size_t tokens, std::size_t channels, std::size_t states, std::size_t columns)
      : r_(r), tokens_(tokens), channels_(channels), states_(states), columns_(columns) {
    const std::size_t lanes = hn::Lanes(d);
    // Transposing the state takes as long as a few tokens do, and a vector of channels wants to be full.
    along_state_ = columns == 1 && (tokens < short_window || channels <= lanes / 4);
    decays_ = !is_single(r.diagonal.decay.u, 0) && !is_single(r.diagonal.decay.v, 0);
    if (r.write_lag == 1 && same_rows(r.correct, r.diagonal.write)) shared_ = shared::writes;
    if (r.read_lag == 0 && same_rows(r.probe, r.diagonal.read)) shared_ = shared::reads;
    rows_.row = hwy::RoundUpTo(states, lanes);
    width_ = hwy::RoundUpTo(channels * columns, lanes);
    const std::size_t each = passes_at_once * rows_.row, stream = passes_at_once * width_;
    const std::size_t state = along_state_ ? channels * rows_.row : width_ * states;
    room_ = allocate_working(5 * each + 2 * stream + width_ + state);
    float* p = room_.get();
    for (float** const q : {&rows_.change, &rows_.correct, &rows_.write, &rows_.read, &rows_.probe})
      *q = std::exchange(p, p + each);
    x_ = std::exchange(p, p + stream);
    y_ = std::exchange(p, p + stream);
    w_ = std::exchange(p, p + width_);
    h_ = p;
  }

  /// The head (or channel, where operands differ between channels) at one place of the other axes.
  void run(const extents& i, view<const float> x, view<float> h, view<float> y) {
    const auto find = [&i](const auto& v) {
      std::size_t o = 0;
      for (std::size_t a = 0; a < axis_count; ++a) o += i[a] * v.stride[a];
      return v.data + o;
    };
    const auto stream = [&](view<const float> v) { return place{find(v), v.step(axis::token), v.step(axis::state)}; };
    const auto product = [&](const factored<float>& f) { return places{stream(f.u), stream(f.v)}; };
    const places decay = product(r_.diagonal.decay), write = product(r_.diagonal.write),
                 read = product(r_.diagonal.read), correct = product(r_.correct), probe = product(r_.probe);
    x.data = find(x), h.data = find(h), y.data = find(y);
    take_state<true>(h.data);
    std::fill(w_, w_ + width_, 0.0f);
    for (std::size_t begin = 0; begin <= tokens_; begin += passes_at_once) {
      const std::size_t count = std::min(passes_at_once, tokens_ + 1 - begin);
      for (std::size_t s = 0; s < count; ++s) {
        rows_.first_weight[s] = rows_.second_weight[s] = 0;
        if (decays_) pack(decay, begin + s, 1, r_.diagonal.logarithmic, nullptr, s, rows_.change);
        pack(write, begin + s, r_.write_lag, false, shared_ == shared::writes ? rows_.second_weight : nullptr, s,
             rows_.write);
        pack(read, begin + s, r_.read_lag, false, shared_ == shared::reads ? rows_.second_weight : nullptr, s,
             rows_.read);
        if (shared_ == shared::writes)
          weigh(correct, begin + s, 1, s);
        else
          pack(correct, begin + s, 1, false, nullptr, s, rows_.correct);
        if (shared_ == shared::reads)
          weigh(probe, begin + s, 0, s);
        else
          pack(probe, begin + s, 0, false, nullptr, s, rows_.probe);
        take_input(x, begin + s, x_ + s * width_);
      }
      advance(count);
      for (std::size_t s = 0; s < count; ++s) put_output(y_ + s * width_, begin + s, y);
    }
    take_state<false>(h.data);
  }

 private:
  static constexpr std::size_t short_window = 3;
  static constexpr std::size_t first_cache = std::size_t{1} << 15;
  // Of vectors of channels, so that their corrections, inputs and sums stay in registers.
  static constexpr std::size_t most = HWY_ARCH_X86 && HWY_TARGET != HWY_AVX3 ? 2 : 4;

  /// The token that pass s takes its row from if that lags behind; none is tokens_.
  std::size_t token(std::size_t s, std::size_t lag) const {
    if (s < lag || s - lag >= tokens_) return tokens_;
    return r_.backward ? tokens_ - 1 - (s - lag) : s - lag;
  }
  /// The row u v of pass s, or of v alone where `weight` takes u.
  void pack(places f, std::size_t s, std::size_t lag, bool exponential, float* weight, std::size_t slot, float* rows) {
    const std::size_t t = token(s, lag);
    float* row = rows + slot * rows_.row;
    if (t == tokens_) return std::fill(row, row + rows_.row, 0.0f), void();
    static constexpr float one = 1;
    if (weight != nullptr) weight[slot] = f.u.at[t * f.u.token], f.u = {&one, 0, 0};
    fetch(f.u.at, f.u.token, f.u.state, states_, s + passes_at_once, lag);
    fetch(f.v.at, f.v.token, f.v.state, states_, s + passes_at_once, lag);
    pack_row(f, t, states_, exponential, row);
  }
  /// Asks for what a later pass will read. Heads lie side by side, so that a head's tokens are too far apart for the
  /// processor to see the pattern.
  void fetch(const float* p, std::size_t step, std::size_t inner, std::size_t n, std::size_t s, std::size_t lag) const {
    const std::size_t t = token(s, lag);
    if (t == tokens_ || inner != 1 || step == 0) return;
    for (std::size_t i = 0; i < n; i += 64 / sizeof(float)) hwy::Prefetch(p + t * step + i);
  }
  void weigh(const places& f, std::size_t s, std::size_t lag, std::size_t slot) {
    const std::size_t t = token(s, lag);
    if (t != tokens_) rows_.first_weight[slot] = f.u.at[t * f.u.token];
  }
  void take_input(view<const float> x, std::size_t s, float* row) const {
    const std::size_t t = token(s, r_.write_lag), n = channels_ * columns_;
    std::fill(row + (t == tokens_ ? 0 : n), row + width_, 0.0f);
    if (t == tokens_) return;
    const float* p = x.data + t * x.step(axis::token);
    const std::size_t next = x.step(axis::chan);
    fetch(x.data, x.step(axis::token), columns_ > 1 ? x.step(axis::column) : next, n, s + passes_at_once, r_.write_lag);
    if (columns_ == 1 && next == 1) return std::copy_n(p, n, row), void();
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t k = 0; k < columns_; ++k) row[c * columns_ + k] = p[c * next + k * x.step(axis::column)];
  }
  void put_output(const float* row, std::size_t s, view<float> y) const {
    const std::size_t t = token(s, r_.read_lag);
    if (t == tokens_) return;
    float* p = y.data + t * y.step(axis::token);
    const std::size_t next = y.step(axis::chan);
    if (columns_ == 1 && next == 1) return std::copy_n(row, channels_, p), void();
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t k = 0; k < columns_; ++k) p[c * next + k * y.step(axis::column)] = row[c * columns_ + k];
  }

  /// Calls f(first vector of channels, vectors) for every tile of them.
  template <class F>
  void tiles(F f) const {
    const std::size_t vectors = width_ / hn::Lanes(d);
    const bool large = most * hn::Lanes(d) * states_ * sizeof(float) > first_cache;
    for (std::size_t k = 0; k < vectors;) {
      std::size_t w = large ? most / 2 : most;
      while (w > vectors - k) w /= 2;
      f(k, w);
      k += w;
    }
  }

  /// From the caller's state [chan, state, column] to tiles [state, lanes], or to rows that are padded, or back.
  template <bool In>
  void take_state(float* h) const {
    if (along_state_) {
      for (std::size_t c = 0; c < channels_; ++c) {
        float *row = h_ + c * rows_.row, *theirs = h + c * states_;
        if constexpr (In)
          std::fill(std::copy_n(theirs, states_, row), row + rows_.row, 0.0f);
        else
          std::copy_n(row, states_, theirs);
      }
      return;
    }
    tiles([&](std::size_t k, std::size_t w) {
      const std::size_t lanes = w * hn::Lanes(d), first = k * hn::Lanes(d);
      const std::size_t used = std::min(lanes, channels_ * columns_ - first);
      float* mine = h_ + first * states_;
      if (In && used < lanes) std::fill_n(mine, lanes * states_, 0.0f);
      if (columns_ == 1) {
        float* theirs = h + first * states_;
        if constexpr (In)
          transpose(d, theirs, states_, used, states_, mine, lanes);
        else
          transpose(d, mine, lanes, states_, used, theirs, states_);
        return;
      }
      for (std::size_t i = 0; i < used; ++i) {
        const std::size_t c = (first + i) / columns_, column = (first + i) % columns_;
        for (std::size_t n = 0; n < states_; ++n) {
          float &a = mine[n * lanes + i], &b = h[(c * states_ + n) * columns_ + column];
          (In ? a : b) = In ? b : a;
        }
      }
    });
  }

  void advance(std::size_t count) const {
    const std::size_t lanes = hn::Lanes(d);
    if (along_state_) {
      for (std::size_t c = 0; c < channels_;) {
        const std::size_t w = c + 4 <= channels_ ? 4 : 1;
        const runner f = w == 4 ? choose<true, 4>(decays_, shared_) : choose<true, 1>(decays_, shared_);
        f(rows_, count, states_, {h_ + c * rows_.row, rows_.row, w_ + c, x_ + c, y_ + c, width_});
        c += w;
      }
      return;
    }
    tiles([&](std::size_t k, std::size_t w) {
      const std::size_t c = k * lanes;
      runner f = choose<false, 1>(decays_, shared_);
      if (w == 2) f = choose<false, 2>(decays_, shared_);
      if constexpr (most == 4)
        if (w == 4) f = choose<false, 4>(decays_, shared_);
      f(rows_, count, states_, {h_ + c * states_, 0, w_ + c, x_ + c, y_ + c, width_});
    });
  }

  passes r_;
  std::size_t tokens_, channels_, states_, columns_, width_ = 0;
  bool along_state_ = false, decays_ = true;
  shared shared_ = shared::nothing;
  packed rows_{};
  working_memory room_;
  float *x_ = nullptr, *y_ = nullptr, *w_ = nullptr, *h_ = nullptr;
};

void run_passes(const passes& r, view<const float> x, view<float> h, view<float> y) {
  bool separate = false;  // do operands differ between channels?
  for (const factored<float>* f : {&r.diagonal.decay, &r.diagonal.write, &r.diagonal.read, &r.correct, &r.probe})
    separate |= f->u.of(axis::chan) > 1 || f->v.of(axis::chan) > 1;
  extents others = h.size;
  for (const axis a : {axis::token, axis::state, axis::column}) at(others, a) = 1;
  if (!separate) at(others, axis::chan) = 1;
  heads each(r, y.of(axis::token), separate ? 1 : h.of(axis::chan), h.of(axis::state), h.of(axis::column));
  extents i{};
  for (;;) {
    each.run(i, x, h, y);
    std::size_t a = axis_count;
    while (a > 0 && ++i[a - 1] == others[a - 1]) i[--a] = 0;
    if (a == 0) return;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace alphaform::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
namespace {
HWY_EXPORT(run_passes);
}

void rank_one(const rank_one_recurrence<float>& r, view<const float> x, view<float> h, view<float> y) {
  HWY_DYNAMIC_DISPATCH(run_passes)
  ({r.diagonal, r.p, r.q, false, 1, r.diagonal.exclusive ? 0u : 1u}, x, h, y);
}

void rank_one_adjoint(const rank_one_recurrence<float>& r, view<const float> g, view<float> h, view<float> y) {
  recurrence<float> transposed = r.diagonal;
  std::swap(transposed.write, transposed.read);
  HWY_DYNAMIC_DISPATCH(run_passes)
  ({transposed, r.q, r.p, true, r.diagonal.exclusive ? 1u : 0u, 0}, g, h, y);
}

}  // namespace alphaform::cpu
#endif

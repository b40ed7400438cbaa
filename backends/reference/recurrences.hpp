// Recurrences and their matrices as their definitions say, for any scalar.
#pragma once
#include <alphaform/backends/kernels.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <cmath>
#include <vector>

namespace alphaform::reference {

template <class T>
struct recurrences final {
  using in = view<const T>;
  using out = view<T>;
  static constexpr axis time = axis::token;

  static void clear(out y) {
    each(
        y.size, [](T& y_) { y_ = 0; }, y);
  }
  static T decay(bool logarithmic, const T& u, const T& v) { return logarithmic ? std::exp(u * v) : 1 + u * v; }

  /// h <- a h
  static void fade(const recurrence<T>& r, std::size_t t, out h) {
    each(
        h.size, [l = r.logarithmic](const T& u, const T& v, T& h_) { h_ *= decay(l, u, v); }, token(r.decay.u, t),
        token(r.decay.v, t), h);
  }
  /// h <- h + c x, for a factored c
  static void add(const factored<T>& c, std::size_t t, in x, out h) {
    each(
        h.size, [](const T& u, const T& v, const T& x_, T& h_) { h_ += u * v * x_; }, token(c.u, t), token(c.v, t),
        token(x, t), h);
  }
  /// y <- y + sum over the state of c h
  static void sum(const factored<T>& c, std::size_t t, in h, out y) {
    each(
        h.size, [](const T& u, const T& v, const T& h_, T& y_) { y_ += u * v * h_; }, token(c.u, t), token(c.v, t), h,
        y);
  }

  /// Of the token's own input, whatever the state.
  static void add_bonus(const recurrence<T>& r, in x, out h, out y) {
    if (!r.bonus) return;
    for (std::size_t t = 0; t < y.of(time); ++t)
      each(
          h.size,
          [](const T& bonus, const T& bonus_v, const T& read, const T& read_v, const T& write, const T& write_v,
             const T& x_, T& y_) { y_ += bonus * bonus_v * read * read_v * write * write_v * x_; },
          token(r.bonus->u, t), token(r.bonus->v, t), token(r.read.u, t), token(r.read.v, t), token(r.write.u, t),
          token(r.write.v, t), token(x, t), token(y, t));
  }

  static void unrolled(const recurrence<T>& r, in x, out h, out y) {
    clear(y);
    for (std::size_t t = 0; t < y.of(time); ++t) {
      if (r.exclusive) sum(r.read, t, h, token(y, t));
      fade(r, t, h);
      add(r.write, t, x, h);
      if (!r.exclusive) sum(r.read, t, h, token(y, t));
    }
    add_bonus(r, x, h, y);
  }
  static void unrolled_adjoint(const recurrence<T>& r, in g, out h, out y) {
    clear(y);
    for (std::size_t t = y.of(time); t-- > 0;) {
      if (!r.exclusive) add(r.read, t, g, h);
      sum(r.write, t, h, token(y, t));
      fade(r, t, h);
      if (r.exclusive) add(r.read, t, g, h);
    }
    add_bonus(r, g, h, y);
  }

  /// Every state that it needs is kept.
  static void unrolled_gradient(const recurrence<T>& r, in x, in g, std::span<const state_sum<T>> sums) {
    const extents size = state_extents(r, x, g);
    const std::size_t tokens = at(size, time), each_token = volume(one_token(size));
    std::vector<T> before((tokens + 1) * each_token, T(0)), z((tokens + 1) * each_token, T(0)), product(each_token);
    const auto states = [&](std::vector<T>& of, std::size_t t) {
      return out{of.data() + t * each_token, one_token(size), contiguous(one_token(size))};
    };
    const auto copy = [](in from, out to) {
      each(
          to.size, [](const T& a, T& b) { b = a; }, from, to);
    };
    for (std::size_t t = 0; t < tokens; ++t) {
      const out h = states(before, t + 1);
      copy(states(before, t), h);
      fade(r, t, h);
      add(r.write, t, x, h);
    }
    for (std::size_t t = tokens; t-- > 0;) {
      const out here = states(z, t);
      if (t + 1 < tokens) {
        copy(states(z, t + 1), here);
        fade(r, t + 1, here);
        if (r.exclusive) add(r.read, t + 1, g, here);
      }
      if (!r.exclusive) add(r.read, t, g, here);
    }
    for (const state_sum<T>& s : sums) {
      clear(s.to);
      for (std::size_t t = 0; t < tokens; ++t) {
        const out q = states_of(product, size);
        copy(s.of == state_product::written ? states(z, t) : states(before, t), q);
        using kind = state_product;
        if (s.of == kind::read) copy(states(before, t + 1), q);
        if (s.of == kind::decayed) fade(r, t, q);
        if (s.of == kind::decayed || s.of == kind::kept) times(states(z, t), q);
        if (s.of == kind::read || s.of == kind::read_before) times(token(g, t), q);
        sum(s.weight, t, q, token(s.to, t));
      }
    }
  }
  static void times(in x, out y) {
    each(
        y.size, [](const T& a, T& b) { b *= a; }, x, y);
  }
  static out states_of(std::vector<T>& numbers, const extents& size) {
    return {numbers.data(), one_token(size), contiguous(one_token(size))};
  }
  /// The state of every token.
  static extents state_extents(const recurrence<T>& r, in x, in g) {
    extents all = single;
    for (const in& v : {r.decay.u, r.decay.v, r.write.u, r.write.v, r.read.u, r.read.v, x, g})
      all = together(all, v.size);
    return all;
  }

  /// h <- a h + to (sum over the state of from h)
  static void correct(const rank_one_recurrence<T>& r, std::size_t t, const factored<T>& from, const factored<T>& to,
                      out h) {
    extents size = h.size;
    at(size, axis::state) = 1;
    std::vector<T> sums(volume(size), T(0));
    const out s{sums.data(), size, contiguous(size)};
    sum(from, t, h, s);
    fade(r.diagonal, t, h);
    each(
        h.size, [](const T& u, const T& v, const T& s_, T& h_) { h_ += u * v * s_; }, token(to.u, t), token(to.v, t),
        in(s), h);
  }
  static void rank_one(const rank_one_recurrence<T>& r, in x, out h, out y) {
    clear(y);
    for (std::size_t t = 0; t < y.of(time); ++t) {
      if (r.diagonal.exclusive) sum(r.diagonal.read, t, h, token(y, t));
      correct(r, t, r.q, r.p, h);
      add(r.diagonal.write, t, x, h);
      if (!r.diagonal.exclusive) sum(r.diagonal.read, t, h, token(y, t));
    }
  }
  static void rank_one_adjoint(const rank_one_recurrence<T>& r, in g, out h, out y) {
    clear(y);
    for (std::size_t t = y.of(time); t-- > 0;) {
      if (!r.diagonal.exclusive) add(r.diagonal.read, t, g, h);
      sum(r.diagonal.write, t, h, token(y, t));
      correct(r, t, r.p, r.q, h);
      if (r.diagonal.exclusive) add(r.diagonal.read, t, g, h);
    }
  }

  /// The matrix of one channel, [T, T].
  static std::vector<T> channel_matrix(const channel_matrices<T>& m, std::size_t c, std::size_t tokens) {
    const auto of = [c](in v) { return v.slice(axis::chan, c, c + 1); };
    const auto pair = [&of](const factored<T>& f) { return factored<T>{of(f.u), of(f.v)}; };
    const recurrence<T> r{pair(m.core.decay), pair(m.core.write), pair(m.core.read), m.core.logarithmic,
                          m.core.exclusive};
    std::size_t states = 1;
    for (const in& v : {r.decay.v, r.write.v, r.read.v}) states = std::max(states, v.of(axis::state));
    std::vector<T> H(tokens * tokens, T(0)), memory(states), x(tokens), y(tokens);
    extents line = single, state = single;
    at(line, time) = tokens;
    at(state, axis::state) = states;
    for (std::size_t s = 0; s < tokens; ++s) {
      std::fill(memory.begin(), memory.end(), T(0));
      std::fill(x.begin(), x.end(), T(0));
      x[s] = 1;
      unrolled(r, in{x.data(), line, contiguous(line)}, out{memory.data(), state, contiguous(state)},
               out{y.data(), line, contiguous(line)});
      for (std::size_t t = 0; t < tokens; ++t) H[t * tokens + s] = y[t];
      H[s * tokens + s] += *token(of(m.skip), s).data;
    }
    return m.taps.data == nullptr ? H : filtered(H, of(m.taps), tokens);
  }
  static std::vector<T> filtered(const std::vector<T>& H, in taps, std::size_t tokens) {
    const std::size_t width = taps.of(axis::tap);
    std::vector<T> y(H.size(), T(0));
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t s = 0; s < tokens; ++s)
        for (std::size_t k = 0; k < std::min(width, s + 1); ++k)
          y[t * tokens + s - k] += H[t * tokens + s] * taps.data[(width - 1 - k) * taps.step(axis::tap)];
    return y;
  }
  static void channel_map(const channel_matrices<T>& m, over_channels over, out map) {
    const std::size_t tokens = map.of(time);
    std::size_t channels = std::max(m.skip.of(axis::chan), m.taps.of(axis::chan));
    for (const factored<T>& f : {m.core.decay, m.core.write, m.core.read})
      channels = std::max({channels, f.u.of(axis::chan), f.v.of(axis::chan)});
    for (std::size_t c = 0; c < channels; ++c) {
      const std::vector<T> H = channel_matrix(m, c, tokens);
      const T weight = m.weight.data[c * m.weight.step(axis::chan)];
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t s = 0; s <= t; ++s) {
          T& to = map.data[t * map.step(time) + s * map.step(axis::column)];
          const T entry = H[t * tokens + s];
          switch (over) {
            case over_channels::sum:
              to += weight * entry;
              break;
            case over_channels::absolute:
              to += weight * std::abs(entry);
              break;
            case over_channels::positive:
              to += weight * std::max(entry, T(0));
              break;
            case over_channels::maximum:
              to = std::max(to, weight * std::abs(entry));
              break;
          }
        }
    }
  }
};

/// A pointwise program, entry after entry; a scan's states are at h, and those of `states` with its factors.
template <class T, class Functions>
void evaluate(const pointwise& p, std::span<const view<const T>> operands, view<T> h, view<T> y,
              const Functions& functions, const state_factors<T>* factors = nullptr) {
  if (volume(y.size) == 0) return;
  std::vector<T> r(p.registers);
  const bool backward = p.scan() == pointwise::operation::scan_back || p.scan() == pointwise::operation::states_back;
  extents i{};
  for (;;) {
    const auto offset = [&](const auto& v) {
      std::size_t o = (backward ? y.size[0] - 1 - i[0] : i[0]) * v.stride[0];
      for (std::size_t k = 1; k < axis_count; ++k) o += i[k] * v.stride[k];
      return o;
    };
    for (const pointwise::instruction& n : p.instructions) {
      using operation = pointwise::operation;
      T result = 0;
      switch (n.is) {
        case operation::load:
          result = operands[n.a].data[offset(operands[n.a])];
          break;
        case operation::number:
          result = static_cast<T>(n.number);
          break;
        case operation::map:
          result = functions[n.function](r[n.a]);
          break;
        case operation::times:
          result = r[n.a] * r[n.b];
          break;
        case operation::plus:
          result = r[n.a] + r[n.b];
          break;
        case operation::larger:
          result = std::max(r[n.a], r[n.b]);
          break;
        case operation::times_plus:
          result = r[n.a] * r[n.b] + r[n.c];
          break;
        case operation::lost:
          result = std::fma(r[n.a], r[n.b], -r[n.c]);
          break;
        case operation::inverse:
          result = r[n.a] == 0 ? T(0) : 1 / r[n.a];
          break;
        case operation::scan: {
          T& state = h.data[offset(h)];
          result = state = (1 + r[n.a]) * state + r[n.b];
          break;
        }
        case operation::scan_back: {
          T& state = h.data[offset(h)];
          result = state + r[n.b];
          state = (1 + r[n.a]) * result;
          break;
        }
        case operation::states:
        case operation::states_back:
          for (std::size_t k = 0; k < h.of(axis::state); ++k) {
            const auto of = [&](const auto& v) -> auto& { return v.data[offset(v) + k * v.step(axis::state)]; };
            T& state = of(h);
            const T decay = std::exp(r[n.a] * of(factors->log_decay)), written = r[n.b] * of(factors->write);
            state = backward ? state + written : decay * state + written;
            result += of(factors->read) * state;
            if (backward) state *= decay;
          }
          break;
      }
      r[n.to] = result;
    }
    y.data[offset(y)] = r[p.instructions.back().to];
    std::size_t a = axis_count;
    while (a > 0 && ++i[a - 1] == y.size[a - 1]) i[--a] = 0;
    if (a == 0) return;
  }
}

}  // namespace alphaform::reference

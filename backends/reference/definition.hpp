// Every kernel as its definition says, one entry after the other, for any scalar.
#pragma once
#include <algorithm>
#include <alphaform/backends/kernels.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <alphaform/backends/reference/recurrences.hpp>
#include <cmath>
#include <vector>

namespace alphaform::reference {

template <class T>
struct definition final {
  using in = view<const T>;
  using out = view<T>;
  static constexpr axis time = axis::token;

  static constexpr auto functions_in_t =
      tabulate(functions_tuple, [](auto f) -> T (*)(const T&) { return &decltype(f)::template value<T>; });

  /// y_o = sum_i W[o, i] x_i, or of the transpose W[i, o], along the axes `over` of x and `made` of y.
  static void matrix(bool transposed, in w, axis over, axis made, in x, out y) {
    for (std::size_t o = 0; o < y.of(made); ++o) {
      const out row = y.slice(made, o, o + 1);
      each(
          row.size, [](T& b) { b = 0; }, row);
      for (std::size_t i = 0; i < x.of(over); ++i) {
        const T weight = w.data[(transposed ? i : o) * w.step(time) + (transposed ? o : i) * w.step(axis::head)];
        each(
            row.size, [weight](const T& a, T& b) { b += weight * a; }, x.slice(over, i, i + 1), row);
      }
    }
  }
  static void linear(in w, axis from, axis to, in x, out y) { matrix(false, w, from, to, x, y); }
  static void linear_adjoint(in w, axis from, axis to, in g, out y) { matrix(true, w, to, from, g, y); }

  static void reverse(in x, out y) {
    for (std::size_t t = 0; t < y.of(time); ++t)
      each(
          one_token(y.size), [](const T& a, T& b) { b = a; }, token(x, y.of(time) - 1 - t), token(y, t));
  }
  static std::size_t place(in order, std::size_t t) {
    return static_cast<std::size_t>(order.data[t * order.step(time)]);
  }
  static void gather(in order, in x, out y) {
    for (std::size_t t = 0; t < y.of(time); ++t)
      each(
          one_token(y.size), [](const T& a, T& b) { b = a; }, token(x, place(order, t)), token(y, t));
  }
  static void scatter(in order, in g, out y) {
    for (std::size_t t = 0; t < y.of(time); ++t)
      each(
          one_token(y.size), [](const T& a, T& b) { b = a; }, token(g, t), token(y, place(order, t)));
  }

  static void shift(std::ptrdiff_t lag, in x, out y) {
    const auto tokens = static_cast<std::ptrdiff_t>(y.of(time));
    for (std::ptrdiff_t t = 0; t < tokens; ++t) {
      const std::ptrdiff_t from = t - lag;
      const out row = token(y, static_cast<std::size_t>(t));
      if (from < 0 || from >= tokens) {
        each(
            row.size, [](T& b) { b = 0; }, row);
      } else {
        each(
            row.size, [](const T& a, T& b) { b = a; }, token(x, static_cast<std::size_t>(from)), row);
      }
    }
  }

  /// y_t = sum_k w[K-1-k] x_{t - direction k}
  static void filter(int direction, in w, in x, out y) {
    const std::size_t width = w.of(axis::tap);
    const auto tokens = static_cast<std::ptrdiff_t>(y.of(time));
    for (std::ptrdiff_t t = 0; t < tokens; ++t) {
      const out row = token(y, static_cast<std::size_t>(t));
      each(
          row.size, [](T& b) { b = 0; }, row);
      for (std::size_t k = 0; k < width; ++k) {
        const std::ptrdiff_t from = t - direction * static_cast<std::ptrdiff_t>(k);
        if (from < 0 || from >= tokens) continue;
        each(
            row.size, [](const T& tap, const T& a, T& b) { b += tap * a; },
            w.slice(axis::tap, width - 1 - k, width - k), token(x, static_cast<std::size_t>(from)), row);
      }
    }
  }

  static void peak(in log_decay, in key, out y) {
    each(
        one_token(y.size), [](const T& k, T& p) { p = k; }, token(key, 0), token(y, 0));
    for (std::size_t t = 1; t < y.of(time); ++t)
      each(
          one_token(y.size), [](const T& l, const T& k, const T& before, T& p) { p = std::max(before + l, k); },
          token(log_decay, t), token(key, t), token(in(y), t - 1), token(y, t));
  }

  /// The weights a_ts of one row of one attention, for the keys from `begin` on.
  static void attend_row(in q, in k, bool normalised, std::size_t begin, std::vector<T>& weights) {
    T most = 0, sum = 0;
    for (std::size_t s = 0; s < weights.size(); ++s) {
      T logit = 0;
      const in key = token(k, begin + s);
      each(
          extents_of_state(std::max(q.of(axis::state), k.of(axis::state))),
          [&logit](const T& a, const T& b) { logit += a * b; }, q, key);
      weights[s] = logit;
      most = s == 0 ? logit : std::max(most, logit);
    }
    for (T& w : weights) {
      w = std::exp(normalised ? w - most : w);
      sum += w;
    }
    if (normalised)
      for (T& w : weights) w /= sum;
  }
  static constexpr extents extents_of_state(std::size_t n) {
    extents size = single;
    at(size, axis::state) = n;
    return size;
  }
  /// Calls f(a row's weights, their first key, t, x, y) for every row of every attention that q and k make along their
  /// axes; `past` keys come before the first query.
  template <class F>
  static void attend_rows(in q, in k, bool normalised, std::size_t window, std::size_t past, in x, out y, F f) {
    extents heads = single;
    for (const axis a : every_axis)
      if (a != time && a != axis::state) at(heads, a) = std::max(q.of(a), k.of(a));
    std::vector<T> weights;
    for (std::size_t i = 0; i < volume(heads); ++i) {
      in qi = q, ki = k, xi = x;
      out yi = y;
      std::size_t rest = i;
      for (std::size_t a = axis_count; a-- > 0;) {
        if (heads[a] == 1) continue;
        const std::size_t at = rest % heads[a];
        rest /= heads[a];
        qi = qi.slice(every_axis[a], at, at + 1);
        ki = ki.slice(every_axis[a], at, at + 1);
        xi = xi.slice(every_axis[a], at, at + 1);
        yi = yi.slice(every_axis[a], at, at + 1);
      }
      for (std::size_t t = 0; t < y.of(time); ++t) {
        const std::size_t keys = past + t + 1, begin = keys > window ? keys - window : 0;
        weights.resize(keys - begin);
        attend_row(token(qi, t), ki, normalised, begin, weights);
        f(weights, begin, t, xi, yi);
      }
    }
  }
  static void attend(in q, in k, bool normalised, std::size_t window, in x, out y) {
    each(
        y.size, [](T& b) { b = 0; }, y);
    attend_rows(q, k, normalised, window, x.of(time) - y.of(time), x, y,
                [](const std::vector<T>& weights, std::size_t begin, std::size_t t, in xi, out yi) {
                  for (std::size_t s = 0; s < weights.size(); ++s)
                    each(
                        one_token(yi.size), [w = weights[s]](const T& a, T& b) { b += w * a; }, token(xi, begin + s),
                        token(yi, t));
                });
  }
  static void attend_adjoint(in q, in k, bool normalised, std::size_t window, in g, out y) {
    each(
        y.size, [](T& b) { b = 0; }, y);
    attend_rows(q, k, normalised, window, 0, g, y,
                [](const std::vector<T>& weights, std::size_t begin, std::size_t t, in gi, out yi) {
                  for (std::size_t s = 0; s < weights.size(); ++s)
                    each(
                        one_token(yi.size), [w = weights[s]](const T& a, T& b) { b += w * a; }, token(gi, t),
                        token(yi, begin + s));
                });
  }

  static constexpr kernels<T> table() {
    return {
        .name = "reference (sequential)",
        .allocate = [](std::size_t n) { return new T[n]; },
        .release = [](T* p) { delete[] p; },
        .upload = [](const T* from, std::size_t n, T* to) { std::copy_n(from, n, to); },
        .download = [](const T* from, std::size_t n, T* to) { std::copy_n(from, n, to); },
        .record = nullptr,
        .replay = nullptr,
        .enter = [] { return 0u; },
        .leave = [](unsigned) {},
        .expect = [](std::span<const in>) {},
        .fill =
            [](T value, out y) {
              each(
                  y.size, [value](T& b) { b = value; }, y);
            },
        .unit =
            [](std::size_t i, out y) {
              for (std::size_t t = 0; t < y.of(time); ++t)
                each(
                    token(y, t).size, [&](T& b) { b = t == i; }, token(y, t));
            },
        .eye =
            [](out y) {
              for (std::size_t t = 0; t < y.of(time); ++t)
                for (std::size_t s = 0; s < y.of(axis::column); ++s) {
                  const out entry = token(y, t).slice(axis::column, s, s + 1);
                  each(
                      entry.size, [&](T& b) { b = t == s; }, entry);
                }
            },
        .copy =
            [](in x, out y) {
              each(
                  y.size, [](const T& a, T& b) { b = a; }, x, y);
            },
        .map =
            [](code f, in x, out y) {
              each(
                  y.size, [g = functions_in_t[f]](const T& a, T& b) { b = g(a); }, x, y);
            },
        .evaluate = [](const pointwise& p, std::span<const in> operands,
                       out y) { reference::evaluate<T>(p, operands, {}, y, functions_in_t); },
        .scan = [](const pointwise& p, std::span<const in> operands, out h,
                   out y) { reference::evaluate<T>(p, operands, h, y, functions_in_t); },
        .times =
            [](in a, in b, out y) {
              each(
                  y.size, [](const T& p, const T& q, T& r) { r = p * q; }, a, b, y);
            },
        .plus =
            [](in a, in b, out y) {
              each(
                  y.size, [](const T& p, const T& q, T& r) { r = p + q; }, a, b, y);
            },
        .larger =
            [](in a, in b, out y) {
              each(
                  y.size, [](const T& p, const T& q, T& r) { r = std::max(p, q); }, a, b, y);
            },
        .total =
            [](T weight, bool absolute, in x, out y) {
              each(
                  x.size, [=](const T& a, T& b) { b += weight * (absolute ? std::abs(a) : a); }, x, y);
            },
        .inverse =
            [](in x, out y) {
              each(
                  y.size, [](const T& a, T& b) { b = a == 0 ? 0 : 1 / a; }, x, y);
            },
        .linear = linear,
        .linear_adjoint = linear_adjoint,
        .shift = shift,
        .reverse = reverse,
        .gather = gather,
        .scatter = scatter,
        .fir = [](in w, in x, out y) { filter(1, w, x, y); },
        .fir_adjoint = [](in w, in x, out y) { filter(-1, w, x, y); },
        .gated_fir_adjoint = nullptr,  // what passes would make at once is evaluated as it stands
        .peak = peak,
        .unrolled = recurrences<T>::unrolled,
        .unrolled_adjoint = recurrences<T>::unrolled_adjoint,
        .pass_lanes = 0,
        .pass_states = states_of_a_pass,
        .pass_for_heads = true,
        .unrolled_pass = nullptr,
        .unrolled_gradient = recurrences<T>::unrolled_gradient,
        .rank_one = recurrences<T>::rank_one,
        .rank_one_adjoint = recurrences<T>::rank_one_adjoint,
        .channel_map = recurrences<T>::channel_map,
        .attend = attend,
        .attend_adjoint = attend_adjoint,
    };
  }
};

}  // namespace alphaform::reference

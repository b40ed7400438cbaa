// float32 on one core with Eigen: the kernels that carry the time; the others are the definitions.
#include <Eigen/Core>
#include <alphaform/backends/cpu/runs.hpp>
#include <alphaform/backends/reference/definition.hpp>
#include <vector>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace alphaform {
namespace {

using cpu::runs;
using T = float;
using in = view<const T>;
using out = view<T>;
using array = Eigen::Map<Eigen::ArrayXf>;
using const_array = Eigen::Map<const Eigen::ArrayXf>;
using rows = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0, Eigen::OuterStride<>>;
using const_rows =
    Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0, Eigen::OuterStride<>>;
constexpr axis time = axis::token;

Eigen::Index len(std::size_t n) { return static_cast<Eigen::Index>(n); }
array on(T* p, std::size_t n) { return {p, len(n)}; }
const_array on(const T* p, std::size_t n) { return {p, len(n)}; }

/// y = f(x), whole arrays at a time; long runs go through a buffer that stays in the cache.
constexpr auto array_functions = tabulate(functions_tuple, [](auto f) -> void (*)(const T*, T*, std::size_t) {
  return [](const T* x, T* y, std::size_t n) {
    constexpr std::size_t strip = 1024;
    for (std::size_t i = 0; i < n; i += strip) {
      const Eigen::ArrayXf part = on(x + i, std::min(strip, n - i));
      on(y + i, std::min(strip, n - i)) = decltype(f)::template value<Eigen::ArrayXf>(part);
    }
  };
});

void map(code f, in x, out y) {
  runs(
      y.size,
      [f](std::size_t n, const T* a, T* b, std::size_t step, std::size_t) {
        array_functions[f](a, b, step == 0 ? 1 : n);
        if (step == 0) on(b, n) = b[0];
      },
      x, y);
}

/// y = a o b for an Eigen operation on two arrays or an array and a constant.
template <class Operation>
void binary(in a, in b, out y, Operation o) {
  runs(
      y.size,
      [o](std::size_t n, const T* p, const T* q, T* r, std::size_t p_step, std::size_t q_step, std::size_t) {
        if (p_step == 1 && q_step == 1) {
          on(r, n) = o(on(p, n), on(q, n));
        } else if (p_step == 1) {
          on(r, n) = o(on(p, n), Eigen::ArrayXf::Constant(len(n), *q));
        } else if (q_step == 1) {
          on(r, n) = o(Eigen::ArrayXf::Constant(len(n), *p), on(q, n));
        } else {
          on(r, n) = o(Eigen::ArrayXf::Constant(1, *p), Eigen::ArrayXf::Constant(1, *q)).value();
        }
      },
      a, b, y);
}

void total(T weight, bool absolute, in x, out y) {
  runs(
      x.size,
      [=](std::size_t n, const T* a, T* b, std::size_t a_step, std::size_t b_step) {
        if (a_step == 0) {
          const T term = weight * (absolute ? std::abs(*a) : *a);
          if (b_step == 1)
            on(b, n) += term;
          else
            *b += term * static_cast<T>(n);
        } else if (b_step == 1) {
          if (absolute)
            on(b, n) += weight * on(a, n).abs();
          else
            on(b, n) += weight * on(a, n);
        } else {
          *b += weight * (absolute ? on(a, n).abs().sum() : on(a, n).sum());
        }
      },
      x, y);
}

const_rows matrix(in v, axis column) {
  return {v.data, len(v.of(time)), len(v.of(column)), Eigen::OuterStride<>(len(std::max(v.step(time), v.of(column))))};
}
const_rows weights(in w) {
  return {w.data, len(w.of(time)), len(w.of(axis::head)), Eigen::OuterStride<>(len(w.of(axis::head)))};
}

/// Nothing but tokens and one contiguous axis.
bool is_matrix(const extents& size, const extents& stride, axis column) {
  for (const axis a : every_axis)
    if (a != time && a != column && at(size, a) != 1) return false;
  return at(size, column) == 1 || at(stride, column) == 1;
}
bool is_product(in x, axis over, out y, axis made) {
  return x.of(time) == y.of(time) && is_matrix(x.size, x.stride, over) && is_matrix(y.size, y.stride, made);
}

void linear(in w, axis from, axis to, in x, out y) {
  if (!is_product(x, from, y, to)) return reference::definition<T>::linear(w, from, to, x, y);
  rows(y.data, len(y.of(time)), len(y.of(to)), Eigen::OuterStride<>(len(y.of(to)))).noalias() =
      matrix(x, from) * weights(w).transpose();
}
void linear_adjoint(in w, axis from, axis to, in g, out y) {
  if (!is_product(g, to, y, from)) return reference::definition<T>::linear_adjoint(w, from, to, g, y);
  rows(y.data, len(y.of(time)), len(y.of(from)), Eigen::OuterStride<>(len(y.of(from)))).noalias() =
      matrix(g, to) * weights(w);
}

/// The filter where the tokens themselves lie contiguously: one long run per tap.
void filter_along(int direction, in w, in x, out y) {
  const std::size_t width = w.of(axis::tap), tokens = y.of(time);
  runs(
      y.slice(time, 0, 1).size,
      [&](std::size_t, const T* tap, const T* a, T* b, std::size_t, std::size_t, std::size_t) {
        on(b, tokens) = 0;
        for (std::size_t k = 0; k < std::min(width, tokens); ++k) {
          const T weight = tap[(width - 1 - k) * w.step(axis::tap)];
          if (direction > 0)
            on(b + k, tokens - k) += weight * on(a, tokens - k);
          else
            on(b, tokens - k) += weight * on(a + k, tokens - k);
        }
      },
      w.slice(axis::tap, 0, 1), x.slice(time, 0, 1), y.slice(time, 0, 1));
}

/// y_t = sum_k w[K-1-k] x_{t - direction k}
void filter(int direction, in w, in x, out y) {
  if (y.of(time) > 1 && y.step(time) == 1 && x.step(time) == 1) return filter_along(direction, w, x, y);
  const std::size_t width = w.of(axis::tap), tokens = y.of(time);
  extents tap_size = w.size;
  at(tap_size, axis::tap) = 1;
  const std::size_t filters = volume(tap_size);
  std::vector<T> taps(width * filters);  // tap-major, so that channels are contiguous
  for (std::size_t k = 0; k < width; ++k)
    reference::each(
        tap_size, [](const T& a, T& b) { b = a; }, w.slice(axis::tap, k, k + 1),
        out{taps.data() + k * filters, tap_size, contiguous(tap_size)});
  for (std::size_t t = 0; t < tokens; ++t) {
    const out row = y.slice(time, t, t + 1);
    runs(
        row.size, [](std::size_t n, T* b, std::size_t) { on(b, n) = 0; }, row);
    for (std::size_t k = 0; k < width; ++k) {
      const std::size_t from = direction > 0 ? t - k : t + k;
      if ((direction > 0 && k > t) || from >= tokens) continue;
      const in tap{taps.data() + (width - 1 - k) * filters, tap_size, contiguous(tap_size)};
      runs(
          row.size,
          [](std::size_t n, const T* p, const T* q, T* r, std::size_t p_step, std::size_t q_step, std::size_t) {
            if (p_step == 0 && q_step == 1)
              on(r, n) += *p * on(q, n);
            else if (p_step == 1 && q_step == 1)
              on(r, n) += on(p, n) * on(q, n);
            else
              for (std::size_t i = 0; i < n; ++i) r[i] += p[p_step * i] * q[q_step * i];
          },
          tap, x.slice(time, from, from + 1), row);
    }
  }
}

template <bool Transposed>
void recur(in a, in x, out h, out y) {
  const std::size_t tokens = y.of(time);
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::size_t t = Transposed ? tokens - 1 - i : i;
    runs(
        h.size,
        [](std::size_t n, const T* p, const T* q, T* s, T* r, std::size_t p_step, std::size_t q_step, std::size_t,
           std::size_t) {
          for (std::size_t k = 0; k < n; ++k) {
            if constexpr (Transposed) {
              r[k] = s[k] + q[q_step * k];
              s[k] = p[p_step * k] * r[k];
            } else {
              r[k] = s[k] = p[p_step * k] * s[k] + q[q_step * k];
            }
          }
        },
        a.slice(time, t, t + 1), x.slice(time, t, t + 1), h, y.slice(time, t, t + 1));
  }
}

/// One channel and token of an Unrolled whose state lies contiguously.
template <bool Transposed>
void unrolled(in a, in b, in c, in x, out h, out y) {
  const std::size_t tokens = y.of(time), channels = h.of(axis::chan), states = h.of(axis::state),
                    columns = h.of(axis::column);
  const auto place = [](const auto& v, std::size_t t, std::size_t k) {
    return v.data + t * v.step(time) + k * v.step(axis::chan);
  };
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::size_t t = Transposed ? tokens - 1 - i : i;
    for (std::size_t k = 0; k < channels; ++k) {
      const T *ap = place(a, t, k), *bp = place(b, t, k), *cp = place(c, t, k), *xp = place(x, t, k);
      T *hp = place(h, 0, k), *yp = place(y, t, k);
      if (columns == 1 && states > 1 && a.step(axis::state) == 1 && b.step(axis::state) == 1 &&
          c.step(axis::state) == 1) {
        auto state = on(hp, states);
        if constexpr (Transposed) {
          state += on(cp, states) * *xp;
          *yp = (on(bp, states) * state).sum();
          state *= on(ap, states);
        } else {
          state = on(ap, states) * state + on(bp, states) * *xp;
          *yp = (on(cp, states) * state).sum();
        }
        continue;
      }
      on(yp, columns) = 0;
      for (std::size_t n = 0; n < states; ++n, hp += columns) {
        const T an = ap[n * a.step(axis::state)], bn = bp[n * b.step(axis::state)], cn = cp[n * c.step(axis::state)];
        if constexpr (Transposed) {
          on(hp, columns) += cn * on(xp, columns);
          on(yp, columns) += bn * on(hp, columns);
          on(hp, columns) *= an;
        } else {
          on(hp, columns) = an * on(hp, columns) + bn * on(xp, columns);
          on(yp, columns) += cn * on(hp, columns);
        }
      }
    }
  }
}

kernels<T> make_table() {
  kernels<T> k = reference::definition<T>::table();
  k.name = "cpu (float32, Eigen)";
#if defined(__SSE__)
  // Decaying states run into denormal numbers, which are twenty times slower; they are 0 here.
  k.enter = [] {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
  };
  k.leave = [](unsigned before) { _mm_setcsr(before); };
#endif
  k.fill = [](T value, out y) {
    runs(
        y.size, [value](std::size_t n, T* b, std::size_t) { on(b, n) = value; }, y);
  };
  k.copy = [](in x, out y) {
    runs(
        y.size,
        [](std::size_t n, const T* a, T* b, std::size_t step, std::size_t) {
          if (step == 1)
            on(b, n) = on(a, n);
          else
            on(b, n) = *a;
        },
        x, y);
  };
  k.map = map;
  k.times = [](in a, in b, out y) { binary(a, b, y, [](const auto& p, const auto& q) { return p * q; }); };
  k.plus = [](in a, in b, out y) { binary(a, b, y, [](const auto& p, const auto& q) { return p + q; }); };
  k.larger = [](in a, in b, out y) { binary(a, b, y, [](const auto& p, const auto& q) { return p.max(q); }); };
  k.total = total;
  k.linear = linear;
  k.linear_adjoint = linear_adjoint;
  k.fir = [](in w, in x, out y) { filter(1, w, x, y); };
  k.fir_adjoint = [](in w, in g, out y) { filter(-1, w, g, y); };
  k.recur = recur<false>;
  k.recur_adjoint = recur<true>;
  k.unrolled = unrolled<false>;
  k.unrolled_adjoint = unrolled<true>;
  k.product = [](std::size_t m, std::size_t n, std::size_t inner, const T* a, std::size_t a_row, const T* b,
                 std::size_t b_row, T* y, std::size_t y_row) {
    rows(y, len(m), len(n), Eigen::OuterStride<>(len(y_row))).noalias() +=
        const_rows(a, len(m), len(inner), Eigen::OuterStride<>(len(a_row))) *
        const_rows(b, len(n), len(inner), Eigen::OuterStride<>(len(b_row))).transpose();
  };
  return k;
}

}  // namespace

const kernels<float>& cpu_kernels() {
  static const kernels<float> table = make_table();
  return table;
}

}  // namespace alphaform

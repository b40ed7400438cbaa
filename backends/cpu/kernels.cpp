// The float32 backend of this machine's processor: vector code that is chosen at run time; what is rarely used is taken
// from the definitions.
#include <algorithm>
#include <alphaform/backends/cpu/filters/filter.hpp>
#include <alphaform/backends/cpu/filters/long_filter.hpp>
#include <alphaform/backends/cpu/gradient/gradient.hpp>
#include <alphaform/backends/cpu/heads/heads.hpp>
#include <alphaform/backends/cpu/heads/rank_one.hpp>
#include <alphaform/backends/cpu/maps/maps.hpp>
#include <alphaform/backends/cpu/memory.hpp>
#include <alphaform/backends/cpu/pointwise/evaluate.hpp>
#include <alphaform/backends/cpu/products/linear.hpp>
#include <alphaform/backends/cpu/runs.hpp>
#include <alphaform/backends/cpu/simd/reductions.hpp>
#include <alphaform/backends/cpu/states/pass.hpp>
#include <alphaform/backends/cpu/states/states.hpp>
#include <alphaform/backends/cpu/states/streams.hpp>
#include <alphaform/backends/reference/definition.hpp>
#include <cstdlib>
#include <limits>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace alphaform {
namespace {

using cpu::runs;
using T = float;
using in = view<const T>;
using out = view<T>;

void unit(std::size_t token, out y) {
  runs(
      y.size, [](std::size_t n, T* b, std::size_t) { std::fill_n(b, n, T(0)); }, y);
  const out one = y.slice(axis::token, token, token + 1);
  runs(
      one.size, [](std::size_t n, T* b, std::size_t) { std::fill_n(b, n, T(1)); }, one);
}

void fill(T value, out y) {
  runs(
      y.size, [value](std::size_t n, T* b, std::size_t) { std::fill_n(b, n, value); }, y);
}

void copy(in x, out y) {
  runs(
      y.size,
      [](std::size_t n, const T* a, T* b, std::size_t step, std::size_t) {
        if (step == 1)
          std::copy_n(a, n, b);
        else
          std::fill_n(b, n, *a);
      },
      x, y);
}

void shift(std::ptrdiff_t lag, in x, out y) {
  const std::size_t tokens = y.of(axis::token), by = std::min(tokens, static_cast<std::size_t>(std::abs(lag)));
  const bool later = lag > 0;
  if (by > 0) fill(0, y.slice(axis::token, later ? 0 : tokens - by, later ? by : tokens));
  if (by == tokens) return;
  copy(x.slice(axis::token, later ? 0 : by, later ? tokens - by : tokens),
       y.slice(axis::token, later ? by : 0, later ? tokens : tokens - by));
}

void gather(in order, in x, out y) {
  for (std::size_t t = 0; t < y.of(axis::token); ++t) {
    const auto from = static_cast<std::size_t>(order.data[t * order.step(axis::token)]);
    copy(x.slice(axis::token, from, from + 1), y.slice(axis::token, t, t + 1));
  }
}

/// y += weight times the sum of x, or of |x|.
void total(T weight, bool absolute, in x, out y) {
  const auto value = [absolute](T a) { return absolute ? std::abs(a) : a; };
  runs(
      x.size,
      [&](std::size_t n, const T* a, T* b, std::size_t a_step, std::size_t b_step) {
        if (b_step == 0)
          *b += weight * (a_step == 0 ? static_cast<T>(n) * value(*a) : cpu::sum(n, a, absolute));
        else
          for (std::size_t i = 0; i < n; ++i) b[i] += weight * value(a[i * a_step]);
      },
      x, y);
}

/// Is every number times `sign` at most 0? One that is none is taken as such.
bool has_sign(in x, T sign) {
  bool all = true;
  runs(
      x.size,
      [&](std::size_t n, const T* u, std::size_t step) {
        all = all && cpu::fades(n, u, step, &sign, 0, -std::numeric_limits<T>::infinity());
      },
      x);
  return all;
}

/// Every decay is between 0 and 1, as sums of logarithms need it. Declarations may have others: a rotation by -1, say.
bool fades(const recurrence<T>& r) {
  in u = r.decay.u, v = r.decay.v;
  // Factors of opposite signs, as Delta and A are, tell it without their products.
  if (r.logarithmic && ((has_sign(v, 1) && has_sign(u, -1)) || (has_sign(v, -1) && has_sign(u, 1)))) return true;
  const T least = r.logarithmic ? -std::numeric_limits<T>::infinity() : T(-1);
  bool all = true;
  runs(
      together(u.size, v.size),
      [&](std::size_t n, const T* a, const T* b, std::size_t a_step, std::size_t b_step) {
        all = all && cpu::fades(n, a, a_step, b, b_step, least);
      },
      u, v);
  return all;
}

bool in_chunks(const recurrence<T>& r, in x) { return cpu::shares_decay_among_channels(r, x) && fades(r); }

bool is_long(in taps, in x) { return cpu::worth_transforming(taps.of(axis::tap), x.of(axis::token)); }

kernels<T> make_table() {
  kernels<T> k = reference::definition<T>::table();
  k.name = "cpu (float32)";
  k.allocate = cpu::allocate;
  k.release = cpu::release;
#if defined(__SSE__)
  // Decaying states run into denormal numbers, which are twenty times slower; they are 0 here.
  k.enter = [] {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
  };
  k.leave = [](unsigned before) { _mm_setcsr(before); };
#endif
  k.expect = cpu::expect;
  k.fill = fill;
  k.unit = unit;
  k.copy = copy;
  k.total = total;
  k.shift = shift;
  k.gather = gather;
  k.map = cpu::map;
  k.evaluate = cpu::evaluate;
  k.scan = cpu::scan;
  k.times = cpu::times;
  k.plus = cpu::plus;
  k.larger = cpu::larger;
  k.linear = cpu::linear;
  k.linear_adjoint = cpu::linear_adjoint;
  k.fir = [](in w, in x, out y) { is_long(w, x) ? cpu::long_filter(w, x, y) : cpu::fir(w, x, y); };
  k.fir_adjoint = [](in w, in g, out y) {
    is_long(w, g) ? cpu::long_filter_adjoint(w, g, y) : cpu::fir_adjoint(w, g, y);
  };
  k.unrolled = [](const recurrence<T>& r, in x, out h, out y) {
    if (in_chunks(r, x)) return cpu::unrolled_heads(r, x, h, y);
    cpu::unrolled_channels(r, x, h, y);
    reference::recurrences<T>::add_bonus(r, x, h, y);
  };
  k.unrolled_adjoint = [](const recurrence<T>& r, in g, out h, out y) {
    if (in_chunks(r, g)) return cpu::unrolled_heads_adjoint(r, g, h, y);
    cpu::unrolled_channels_adjoint(r, g, h, y);
    reference::recurrences<T>::add_bonus(r, g, h, y);
  };
  k.pass_lanes = 1;
  k.pass_states = states_of_a_pass;
  k.pass_for_heads = false;
  k.unrolled_pass = cpu::unrolled_pass;
  k.unrolled_gradient = cpu::unrolled_gradient;
  k.rank_one = cpu::rank_one;
  k.rank_one_adjoint = cpu::rank_one_adjoint;
  k.channel_map = [](const channel_matrices<T>& m, over_channels over, out map) {
    fades(m.core) ? cpu::channel_map(m, over, map) : reference::recurrences<T>::channel_map(m, over, map);
  };
  return k;
}

}  // namespace

const kernels<float>& cpu_kernels() {
  static const kernels<float> table = make_table();
  return table;
}

}  // namespace alphaform

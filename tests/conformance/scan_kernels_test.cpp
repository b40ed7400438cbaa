// The vectorised scans and filters against their definitions as plain loops in double, on windows of larger tensors of
// any axes; and that long slow decays keep their precision in float.
#include <doctest/doctest.h>

#include <alphaform/backends/cpu/filters/filter.hpp>
#include <alphaform/backends/cpu/pointwise/evaluate.hpp>
#include <alphaform/backends/cpu/states/states.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "../devices.hpp"
#include "../scan_program.hpp"

namespace alphaform {
namespace {

using in = view<const float>;
using out = view<float>;
using reference::each;
using reference::one_token;
constexpr axis time = axis::token;
constexpr float infinity = std::numeric_limits<float>::infinity();

std::mt19937 random_bits(7);
double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_bits); }
std::size_t one_of(std::initializer_list<std::size_t> sizes) {
  return sizes.begin()[std::uniform_int_distribution<std::size_t>(0, sizes.size() - 1)(random_bits)];
}

/// A window of a tensor that may be larger, with the numbers that it has as double.
struct tensor final {
  std::vector<float> numbers;
  out window;

  template <class F>
  tensor(const extents& size, bool is_larger, F number) {
    extents whole = size;
    for (std::size_t& n : whole)
      if (is_larger && n > 1) n += one_of({0, 0, 1, 16});
    numbers.resize(volume(whole));
    for (float& x : numbers) x = static_cast<float>(number());
    window = {numbers.data(), size, contiguous(whole)};
    for (std::size_t a = 0; a < axis_count; ++a)
      if (size[a] == 1) window.stride[a] = 0;
  }
  tensor(const extents& size, std::vector<float> values)
      : numbers(std::move(values)), window{numbers.data(), size, contiguous(size)} {}
  tensor(const tensor&) = delete;
  tensor& operator=(const tensor&) = delete;
};
double zero() { return 0; }
double centred() { return uniform(-1, 1); }

/// `size`, or 1 instead along some of its axes.
extents part_of(extents size) {
  for (std::size_t& n : size)
    if (one_of({0, 1, 2}) == 0) n = 1;
  return size;
}
extents without(extents size, axis a) {
  at(size, a) = 1;
  return size;
}
/// Random extents, with `tokens`, `channels` and `states` as given.
extents around(std::size_t tokens, std::size_t channels, std::size_t states) {
  extents size = single;
  for (const axis a : {axis::group, axis::head, axis::column}) at(size, a) = one_of({1, 1, 1, 2, 3});
  at(size, time) = tokens;
  at(size, axis::chan) = channels;
  at(size, axis::state) = states;
  return size;
}

struct doubles final {
  std::vector<double> numbers;
  view<double> all;
  explicit doubles(const extents& size) : numbers(volume(size)), all{numbers.data(), size, contiguous(size)} {}
  explicit doubles(const in& v) : doubles(v.size) {
    each(
        v.size, [](float from, double& to) { to = from; }, v, all);
  }
  doubles(const doubles&) = delete;
  doubles& operator=(const doubles&) = delete;
};

/// The largest difference over the largest number.
double error(const out& y, const doubles& exact) {
  double most = 0, scale = 1e-30;
  each(
      y.size,
      [&](float a, double b) {
        if (!(std::abs(a - b) <= most)) most = std::abs(a - b);
        scale = std::max(scale, std::abs(b));
      },
      y, exact.all);
  return most / scale;
}

template <class V>
V token(const V& v, std::size_t t) {
  return v.slice(time, t, t + 1);
}

void plain_unrolled(bool adjoint, const recurrence<float>& r, in x, doubles& h, doubles& y) {
  const factored<float>&write = adjoint ? r.read : r.write, &read = adjoint ? r.write : r.read;
  const std::size_t tokens = y.all.of(time);
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::size_t t = adjoint ? tokens - 1 - i : i;
    const auto decays = [&] {
      each(
          h.all.size, [&](double u, double v, double& s) { s *= r.logarithmic ? std::exp(u * v) : 1 + u * v; },
          token(r.decay.u, t), token(r.decay.v, t), h.all);
    };
    const auto writes = [&] {
      each(
          h.all.size, [](double u, double v, double a, double& s) { s += u * v * a; }, token(write.u, t),
          token(write.v, t), token(x, t), h.all);
    };
    const auto reads = [&] {
      each(
          h.all.size, [](double u, double v, double s, double& b) { b += u * v * s; }, token(read.u, t),
          token(read.v, t), h.all, token(y.all, t));
    };
    if (r.exclusive) reads();
    if (r.exclusive || !adjoint) decays();
    writes();
    if (!r.exclusive) reads();
    if (!r.exclusive && adjoint) decays();
  }
}

void scan(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  if (test::tests_cpu()) return (adjoint ? cpu::unrolled_channels_adjoint : cpu::unrolled_channels)(r, x, h, y);
  (adjoint ? test::tested->unrolled_adjoint : test::tested->unrolled)(r, x, h, y);
}

ON_EVERY_DEVICE("scans of states are their definition on any axes") {
  USE_DEVICE();
  for (int trial = 0; trial < 400; ++trial) {
    const extents size =
        around(one_of({1, 2, 5, 64, 70, 129, 200}), one_of({1, 3, 16, 37, 130}), one_of({1, 3, 8, 16, 17, 64}));
    const extents state = without(size, time), stream = without(size, axis::state);
    const bool logarithmic = one_of({0, 1, 1}) == 1, adjoint = one_of({0, 1}) == 1;
    const double rate = std::pow(10, uniform(-4, 2));
    const tensor decay_u(part_of(stream), true, [&] { return uniform(0, logarithmic ? rate : 1); });
    const tensor decay_v(part_of(size), true, [&] { return uniform(-1, 0); });
    const tensor write_u(part_of(stream), true, centred), write_v(part_of(size), true, centred);
    const tensor read_u(part_of(stream), true, centred), read_v(part_of(size), true, centred);
    const tensor x(part_of(one_of({0, 1, 2, 3, 4, 5, 6, 7}) == 0 ? size : stream), true, centred);
    tensor h(state, false, centred), y(stream, true, zero);
    const recurrence<float> r{.decay = {decay_u.window, decay_v.window},
                              .write = {write_u.window, write_v.window},
                              .read = {read_u.window, read_v.window},
                              .logarithmic = logarithmic,
                              .exclusive = one_of({0, 1}) == 1};
    doubles h_exact(h.window), y_exact(stream);
    plain_unrolled(adjoint, r, x.window, h_exact, y_exact);
    scan(adjoint, r, x.window, h.window, y.window);
    CAPTURE(trial);
    CHECK(error(y.window, y_exact) < 2e-6);
    CHECK(error(h.window, h_exact) < 2e-6);
  }
}

/// A recurrence on [tokens, channels, states] with decay u v and write and read of ones, or as set.
struct long_scan final {
  std::size_t tokens, channels, states;
  tensor u, v, write, read, x, y;
  recurrence<float> r;

  template <class Decay, class Input>
  long_scan(std::size_t t, std::size_t c, std::size_t n, Decay decay, Input input)
      : tokens(t),
        channels(c),
        states(n),
        u(stream_extents(t, c), false, [] { return uniform(0.9, 1.1); }),
        v(around_one(1, c, n), false, decay),
        write(around_one(t, 1, n), false, [] { return uniform(0.5, 1); }),
        read(around_one(t, 1, n), false, [] { return uniform(0.5, 1); }),
        x(stream_extents(t, c), false, input),
        y(stream_extents(t, c), false, zero),
        r{.decay = {u.window, v.window},
          .write = {u.window, write.window},
          .read = {one.window, read.window},
          .logarithmic = true} {}

  static extents around_one(std::size_t t, std::size_t c, std::size_t n) {
    extents size = stream_extents(t, c);
    at(size, axis::state) = n;
    return size;
  }
  static inline const tensor one{single, std::vector<float>{1}};

  /// The scan in windows of so many tokens, with the state carried along in float.
  void run(bool adjoint, std::size_t window, out h) {
    for (std::size_t done = 0; done < tokens; done += window) {
      const std::size_t some = std::min(window, tokens - done), begin = adjoint ? tokens - done - some : done;
      const auto cut = [&](const auto& w) { return w.slice(time, begin, begin + some); };
      recurrence<float> part = r;
      for (factored<float>* f : {&part.decay, &part.write, &part.read}) *f = {cut(f->u), cut(f->v)};
      scan(adjoint, part, cut(x.window), h, cut(y.window));
    }
  }
};

ON_EVERY_DEVICE("scans of states keep 65,536 steps of slow decay, in windows of any length") {
  USE_DEVICE();
  constexpr std::size_t tokens = 65536, channels = 3, states = 5;
  for (const double nats : {1e-6, 1e-4, 200.0 / tokens})
    for (const bool has_one_sign : {true, false})
      for (const bool adjoint : {false, true})
        for (const std::size_t window : {std::size_t{64}, std::size_t{128}, std::size_t{1000}, tokens}) {
          long_scan s(
              tokens, channels, states, [nats] { return -nats * uniform(0.5, 1); },
              [has_one_sign] { return uniform(has_one_sign ? 0.5 : -1, 1); });
          tensor h(long_scan::around_one(1, channels, states), false, zero);
          doubles h_exact(h.window), y_exact(s.y.window.size);
          plain_unrolled(adjoint, s.r, s.x.window, h_exact, y_exact);
          s.run(adjoint, window, h.window);
          CAPTURE(nats);
          CAPTURE(has_one_sign);
          CAPTURE(adjoint);
          CAPTURE(window);
          CHECK(error(s.y.window, y_exact) < 2e-6);
          CHECK(error(h.window, h_exact) < 2e-6);
        }
}

ON_EVERY_DEVICE("a decay of 0 forgets the state altogether") {
  USE_DEVICE();
  constexpr std::size_t tokens = 70, channels = 20, states = 17, reset = 40;
  for (const bool logarithmic : {true, false})
    for (const bool varies : {true, false}) {
      long_scan s(
          tokens, channels, states, [] { return -1; }, [] { return uniform(0.5, 1); });
      const tensor wide(long_scan::around_one(tokens, channels, states), false, [] { return -1; });
      s.r.logarithmic = logarithmic;
      if (varies) s.r.decay.v = wide.window;
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t c = 0; c < channels; ++c) {
          s.u.numbers[t * channels + c] = t == reset ? (logarithmic ? infinity : 1) : 1e-3f;
          if (t < reset) s.x.numbers[t * channels + c] *= 1e20f;
        }
      tensor h(long_scan::around_one(1, channels, states), false, zero);
      const factored<float> once{long_scan::one.window, s.write.window};
      s.r.write = once;
      scan(false, s.r, s.x.window, h.window, s.y.window);
      doubles h_exact(h.window), y_exact(s.y.window.size);
      h_exact.numbers.assign(h_exact.numbers.size(), 0);
      plain_unrolled(false, s.r, s.x.window, h_exact, y_exact);
      CHECK(error(h.window, h_exact) < 2e-6);
      const auto late = [](const auto& v) { return v.slice(time, reset, tokens); };
      doubles y_late(late(s.y.window).size);
      each(
          y_late.all.size, [](double a, double& b) { b = a; }, late(y_exact.all), y_late.all);
      CHECK(error(late(s.y.window), y_late) < 2e-6);
    }
}

template <class V>
void plain_recur(bool adjoint, const V& change, const V& x, doubles& h, doubles& y) {
  const std::size_t tokens = y.all.of(time);
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::size_t t = adjoint ? tokens - 1 - i : i;
    each(
        h.all.size,
        [adjoint](double c, double a, double& s, double& b) {
          if (!adjoint) s += c * s;
          b = s += a;
          if (adjoint) s += c * s;
        },
        token(change, t), token(x, t), h.all, token(y.all, t));
  }
}
void recur(bool adjoint, in change, in x, out h, out y) {
  const std::array operands{change, x};
  test::tested->scan(scan_program(adjoint), operands, h, y);
}

ON_EVERY_DEVICE("elementwise scans are their definition on any axes") {
  USE_DEVICE();
  for (int trial = 0; trial < 400; ++trial) {
    const extents size = around(one_of({1, 2, 5, 64, 200}), one_of({1, 3, 16, 37, 130, 600}), one_of({1, 1, 3}));
    const bool adjoint = one_of({0, 1}) == 1;
    const double rate = std::pow(10, uniform(-5, 0));
    const tensor change(part_of(size), true, [rate] {
      return one_of({0, 1, 2, 3, 4, 5}) == 0 ? -1 : -rate * uniform(0, 1);
    });
    const tensor x(part_of(size), true, centred);
    tensor h(without(size, time), false, centred), y(size, true, zero);
    doubles h_exact(h.window), y_exact(size);
    plain_recur(adjoint, change.window, x.window, h_exact, y_exact);
    recur(adjoint, change.window, x.window, h.window, y.window);
    CAPTURE(trial);
    CHECK(error(y.window, y_exact) < 3e-7);
    CHECK(error(h.window, h_exact) < 3e-7);
  }
}

/// c Scan(exp l) b x, or the transpose.
pointwise scan_between_products(bool back) {
  using operation = pointwise::operation;
  constexpr code expm1 = function_code<functions::expm1>;
  return {.instructions = {{operation::load, 0, 0},
                           {operation::load, 1, 1},
                           {operation::load, 2, 2},
                           {operation::load, 3, 3},
                           {operation::map, 0, 0, 0, 0, expm1},
                           {operation::times, 1, 1, 2},
                           {back ? operation::scan_back : operation::scan, 1, 0, 1},
                           {operation::times, 1, 3, 1}},
          .registers = 4,
          .operands = 4};
}

ON_EVERY_DEVICE("scans between products are their definition on any axes, also in parts of large rows") {
  USE_DEVICE();
  for (int trial = 0; trial < 200; ++trial) {
    const bool adjoint = one_of({0, 1}) == 1, is_wide = trial % 20 == 0;
    const extents size = is_wide
                             ? stream_extents(300, 1024)
                             : around(one_of({1, 2, 5, 64, 200}), one_of({1, 3, 16, 37, 130, 600}), one_of({1, 1, 3}));
    const auto any = [&] { return is_wide ? size : part_of(size); };
    const tensor log(any(), true, [] { return -uniform(0, 1); }), b(any(), true, centred), x(any(), true, centred),
        c(any(), true, centred);
    tensor h(without(size, time), false, centred);
    // Rows that begin at cache lines of a stream twice as wide are written past the caches.
    std::vector<float> rows(2 * volume(size) + 16);
    out y{rows.data() + (16 - reinterpret_cast<std::uintptr_t>(rows.data()) / sizeof(float) % 16) % 16, size,
          contiguous(size)};
    if (is_wide) at(y.stride, time) *= 2;
    doubles h_exact(h.window), y_exact(size), change(size), in_exact(size);
    for (std::size_t t = 0; t < size[0]; ++t) {
      each(
          without(size, time), [](double l, double& a) { a = std::expm1(l); }, token(log.window, t),
          token(change.all, t));
      each(
          without(size, time), [](double b_, double x_, double& z) { z = b_ * x_; }, token(b.window, t),
          token(x.window, t), token(in_exact.all, t));
    }
    plain_recur(adjoint, change.all, in_exact.all, h_exact, y_exact);
    each(
        size, [](double c_, double& z) { z *= c_; }, c.window, y_exact.all);
    const std::array<in, 4> operands{log.window, b.window, x.window, c.window};
    test::tested->scan(scan_between_products(adjoint), operands, h.window, y);
    CAPTURE(trial);
    // Rounded decays (2 ulp) and inputs are remembered for a few tokens, and the result is multiplied once more.
    CHECK(error(y, y_exact) < 1e-6);
    CHECK(error(h.window, h_exact) < 1e-6);
  }
}

ON_EVERY_DEVICE("elementwise scans keep 65,536 steps of slow decay, in windows of any length") {
  USE_DEVICE();
  constexpr std::size_t tokens = 65536, channels = 19;
  for (const double nats : {1e-6, 1e-4, 200.0 / tokens})
    for (const bool has_one_sign : {true, false})
      for (const bool adjoint : {false, true})
        for (const std::size_t window : {std::size_t{64}, std::size_t{128}, tokens}) {
          const extents size = stream_extents(tokens, channels);
          const tensor change(size, false, [nats] { return std::expm1(-nats * uniform(0.5, 1)); });
          const tensor x(size, false, [has_one_sign] { return uniform(has_one_sign ? 0.5 : -1, 1); });
          tensor h(without(size, time), false, zero), y(size, false, zero);
          doubles h_exact(h.window), y_exact(size);
          plain_recur(adjoint, change.window, x.window, h_exact, y_exact);
          for (std::size_t done = 0; done < tokens; done += window) {
            const std::size_t begin = adjoint ? tokens - done - window : done;
            const auto cut = [&](const auto& v) { return v.slice(time, begin, begin + window); };
            recur(adjoint, cut(change.window), cut(x.window), h.window, cut(y.window));
          }
          CAPTURE(nats);
          CAPTURE(has_one_sign);
          CAPTURE(adjoint);
          CAPTURE(window);
          CHECK(error(y.window, y_exact) < 2e-6);
        }
}

ON_EVERY_DEVICE("filters are their definition on any axes, also where tokens are what lies contiguously") {
  USE_DEVICE();
  for (int trial = 0; trial < 400; ++trial) {
    const extents size = around(one_of({1, 2, 5, 64, 130}), one_of({1, 3, 16, 37, 130, 600}), one_of({1, 1, 3}));
    const bool adjoint = one_of({0, 1}) == 1;
    extents tap_size = without(part_of(size), time);
    at(tap_size, axis::tap) = one_of({1, 2, 3, 4, 7, 11});
    const tensor taps(tap_size, false, centred);
    tensor x(part_of(size), true, centred), y(size, true, zero);
    if (one_of({0, 1, 2}) == 0)
      for (tensor* v : {&x, &y}) {  // the same numbers, but read with tokens as the fastest axis
        extents& stride = v->window.stride;
        const std::size_t tokens = v->window.of(time);
        for (std::size_t a = axis_count, n = tokens; a-- > 1;) {
          stride[a] = v->window.size[a] == 1 ? 0 : n;
          n *= v->window.size[a];
        }
        at(stride, time) = tokens == 1 ? 0 : 1;
      }
    doubles exact(size);
    const auto tokens = static_cast<std::ptrdiff_t>(size[0]),
               width = static_cast<std::ptrdiff_t>(at(tap_size, axis::tap));
    for (std::ptrdiff_t t = 0; t < tokens; ++t)
      for (std::ptrdiff_t k = 0; k < width; ++k) {
        const std::ptrdiff_t from = adjoint ? t + k : t - k;
        if (from < 0 || from >= tokens) continue;
        const auto tap = static_cast<std::size_t>(width - 1 - k);
        each(
            one_token(size), [](double w, double a, double& b) { b += w * a; },
            taps.window.slice(axis::tap, tap, tap + 1), token(x.window, static_cast<std::size_t>(from)),
            token(exact.all, static_cast<std::size_t>(t)));
      }
    (adjoint ? test::tested->fir_adjoint : test::tested->fir)(taps.window, x.window, y.window);
    CAPTURE(trial);
    CHECK(error(y.window, exact) < 1e-6);
  }
}

}  // namespace
}  // namespace alphaform

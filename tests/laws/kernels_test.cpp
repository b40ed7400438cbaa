// Every kernel of the float32 backend against its definition in double, on random odd sizes with operands that lack
// axes and operands that are slices; and every transpose by its dot test.
#include <doctest/doctest.h>

#include <alphaform/backends/reference/definition.hpp>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "../devices.hpp"
#include "../scan_program.hpp"

namespace alphaform {
namespace {

constexpr kernels<double> exact = reference::definition<double>::table();
// Sums of at most some dozen numbers of order one, each rounded by 6e-8.
constexpr double in_float = 1e-6;

/// The same numbers in float32 and double, in storage that may be larger than the view.
struct operand final {
  std::vector<float> in_single;
  std::vector<double> in_double;
  extents size = single, stride{};
  std::size_t first = 0;

  template <class T>
  view<T> as() {
    if constexpr (std::is_same_v<T, float>)
      return {in_single.data() + first, size, stride};
    else
      return {in_double.data() + first, size, stride};
  }
};

enum class storage : std::uint8_t { whole, slice, tokens_inside };

struct draw final {
  std::mt19937 random{20240516};

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); }
  /// 1, 3, 5, 7 or 9
  std::size_t odd() { return 1 + 2 * below(5); }
  bool maybe() { return below(2) == 0; }
  storage any() { return maybe() ? storage::whole : storage::slice; }

  extents sizes(std::initializer_list<axis> axes) {
    extents e = single;
    for (const axis a : axes) at(e, a) = odd();
    return e;
  }
  /// An operand of a result with these sizes, uniform in [low, high]. A slice leaves entries before and behind on every
  /// axis; `tokens_inside` has the places of tokens and columns interchanged, so that tokens are contiguous.
  operand of(extents size, storage s = storage::whole, double low = -1, double high = 1) {
    operand o;
    o.size = size;
    if (s == storage::tokens_inside) std::swap(at(size, axis::token), at(size, axis::column));
    extents room = size;
    if (s == storage::slice)
      for (std::size_t& n : room) n += n > 1 ? 3 : 0;
    o.stride = contiguous(room);
    if (s == storage::slice)
      for (std::size_t k = 0; k < axis_count; ++k) o.first += o.stride[k];
    if (s == storage::tokens_inside) std::swap(at(o.stride, axis::token), at(o.stride, axis::column));
    std::uniform_real_distribution<float> uniform(static_cast<float>(low), static_cast<float>(high));
    for (std::size_t k = 0; k < volume(room); ++k) o.in_single.push_back(uniform(random));
    o.in_double.assign(o.in_single.begin(), o.in_single.end());
    return o;
  }
  /// The sizes without some of the axes, each left out or not.
  extents without(extents size, std::initializer_list<axis> some) {
    for (const axis a : some)
      if (maybe()) at(size, a) = 1;
    return size;
  }
  extents without_any(const extents& size) {
    return without(size, {axis::token, axis::head, axis::chan, axis::state, axis::rank, axis::column});
  }
};

/// All of the storage agrees: the entries of the view, and those beside it, which nobody may touch. Terms are of order
/// one, so that a sum whose terms cancel is off by the rounding of 1; `scale` is more for longer sums.
void check_same(const operand& y, double scale = 1) {
  double worst = 0;
  for (std::size_t k = 0; k < y.in_double.size(); ++k) {
    const double difference = std::abs(static_cast<double>(y.in_single[k]) - y.in_double[k]);
    if (!(difference <= worst)) worst = std::isnan(difference) ? HUGE_VAL : difference;
    scale = std::max(scale, std::abs(y.in_double[k]));
  }
  CHECK(worst <= in_float * scale);
}

/// Runs f(kernels, type) on the device in float32, and by the definition in double.
template <class F>
void both(F f) {
  f(*test::tested, float{});
  f(exact, double{});
}

constexpr int rounds = 150;

ON_EVERY_DEVICE("fill copy unit eye shift and the pointwise kernels are their definitions") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    const extents size = d.sizes({axis::token, axis::head, axis::chan, axis::state, axis::column});
    operand a = d.of(d.without_any(size), d.any()), b = d.of(d.without_any(size), d.any());
    operand filled = d.of(size, d.any()), copied = d.of(size, d.any()), unit = d.of(size, d.any()),
            eye = d.of(size, d.any()), product = d.of(size, d.any()), sum = d.of(size, d.any()),
            larger = d.of(size, d.any()), in_place = d.of(size, d.any());
    const std::size_t token = d.below(at(size, axis::token));
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      k.fill(T(0.5), filled.as<T>());
      k.copy(a.as<T>(), copied.as<T>());
      k.unit(token, unit.as<T>());
      k.eye(eye.as<T>());
      k.times(a.as<T>(), b.as<T>(), product.as<T>());
      k.plus(a.as<T>(), b.as<T>(), sum.as<T>());
      k.larger(a.as<T>(), b.as<T>(), larger.as<T>());
      k.times(in_place.as<T>(), a.as<T>(), in_place.as<T>());
      k.plus(in_place.as<T>(), b.as<T>(), in_place.as<T>());
    });
    for (const operand* y : {&filled, &copied, &unit, &eye, &product, &sum, &larger, &in_place}) check_same(*y);
  }
}

template <class... Function>
bool one_of_these(code f) {
  return ((f == function_code<Function>) || ...);
}

ON_EVERY_DEVICE("every function maps as its definition says") {
  USE_DEVICE();
  draw d;
  for (code f = 0; f < function_table.size(); ++f) {
    CAPTURE(function_table[f].name);
    const bool positive = one_of_these<functions::reciprocal, functions::rsqrt, functions::log, functions::sqrt>(f);
    for (int round = 0; round < 40; ++round) {
      // The odd one is longer than the strips that the backend works in.
      extents size = d.sizes({axis::token, axis::chan, axis::state});
      if (round == 0) at(size, axis::token) = 1501;
      operand x = d.of(d.without_any(size), d.any(), positive ? 0.2 : -9, 9), y = d.of(size, d.any());
      both([&](const auto& k, auto type) {
        using T = decltype(type);
        k.map(f, x.as<T>(), y.as<T>());
      });
      check_same(y);
    }
  }
}

ON_EVERY_DEVICE("totals over any axes with and without absolute values") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    const extents size = d.sizes({axis::token, axis::chan, axis::state, axis::column});
    operand x = d.of(size, d.any()), y = d.of(d.without_any(size), d.any());
    const bool absolute = d.maybe();
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      k.total(T(0.25), absolute, x.as<T>(), y.as<T>());
    });
    check_same(y, 1 + 0.25 * static_cast<double>(volume(x.size) / volume(y.size)));  // the size of all terms together
  }
}

ON_EVERY_DEVICE("shifts and filters are their definitions also along contiguous tokens") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    const bool inside = round % 3 == 0;
    const extents size = inside ? d.sizes({axis::token, axis::chan, axis::column})
                                : d.sizes({axis::token, axis::chan, axis::state, axis::column});
    const auto any = [&] { return inside ? storage::tokens_inside : d.any(); };
    extents tap_size = single;
    at(tap_size, axis::chan) = at(size, axis::chan);
    at(tap_size, axis::tap) = 1 + d.below(5);
    operand taps = d.of(tap_size), x = d.of(size, any()), filtered = d.of(size, any()), adjoint = d.of(size, any()),
            shifted = d.of(size, any());
    const std::ptrdiff_t lag = static_cast<std::ptrdiff_t>(d.below(7)) - 3;
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      k.shift(lag, x.as<T>(), shifted.as<T>());
      k.fir(taps.as<T>(), x.as<T>(), filtered.as<T>());
      k.fir_adjoint(taps.as<T>(), x.as<T>(), adjoint.as<T>());
    });
    for (const operand* y : {&shifted, &filtered, &adjoint}) check_same(*y);
  }
}

ON_EVERY_DEVICE("inverses and orders of tokens are their definitions") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    const extents size = d.sizes({axis::token, axis::head, axis::chan, axis::part, axis::column});
    extents order_size = single;
    at(order_size, axis::token) = at(size, axis::token);
    operand x = d.of(size, d.any()), far = d.of(d.without_any(size), d.any(), 0.2, 9), order = d.of(order_size),
            reversed = d.of(size, d.any()), gathered = d.of(size, d.any()), scattered = d.of(size, d.any()),
            inverse = d.of(size, d.any());
    std::vector<std::size_t> places(at(size, axis::token));
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::shuffle(places.begin(), places.end(), d.random);
    for (std::size_t t = 0; t < places.size(); ++t) {
      order.in_single[t] = static_cast<float>(places[t]);
      order.in_double[t] = static_cast<double>(places[t]);
    }
    far.in_single[far.first] = 0;  // 1/0 is 0
    far.in_double[far.first] = 0;
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      k.reverse(x.as<T>(), reversed.as<T>());
      k.gather(order.as<T>(), x.as<T>(), gathered.as<T>());
      k.scatter(order.as<T>(), x.as<T>(), scattered.as<T>());
      k.inverse(far.as<T>(), inverse.as<T>());
    });
    for (const operand* y : {&reversed, &gathered, &scattered, &inverse}) check_same(*y);
    // One undoes the other.
    operand back = d.of(size);
    exact.scatter(order.as<double>(), gathered.as<double>(), back.as<double>());
    reference::each(
        size, [](const double& a, const double& b) { CHECK(a == b); }, back.as<double>(), x.as<double>());
  }
}

/// The operands of an attention: queries and keys may lack axes and be slices, streams may have others beside.
struct attention_operands final {
  operand q, k, x, y;
  bool normalised;
  std::size_t window;
  explicit attention_operands(draw& d) {
    const extents heads = d.sizes({axis::token, axis::head, axis::chan});
    extents keys = heads, stream = heads;
    at(keys, axis::state) = d.odd();
    at(stream, axis::column) = d.odd();
    q = d.of(d.without(keys, {axis::token, axis::head, axis::chan, axis::state}), d.any());
    k = d.of(d.without(keys, {axis::token, axis::head, axis::chan}), d.any());
    x = d.of(stream, d.any());
    y = d.of(stream, d.any());
    normalised = d.maybe();
    window = d.maybe() ? 2 : 1000;
  }
};

ON_EVERY_DEVICE("attention and its transpose are their definitions and each other's transposes") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    attention_operands o(d), p(d);
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      k.attend(o.q.template as<T>(), o.k.template as<T>(), o.normalised, o.window, o.x.template as<T>(),
               o.y.template as<T>());
      k.attend_adjoint(p.q.template as<T>(), p.k.template as<T>(), p.normalised, p.window, p.x.template as<T>(),
                       p.y.template as<T>());
    });
    // Weights are up to exp(9), and so are the sums that rounding is relative to.
    check_same(o.y, o.normalised ? 1 : 1e3);
    check_same(p.y, p.normalised ? 1 : 1e3);
  }
}

ON_EVERY_DEVICE("matrices and their transposes are their definitions") {
  USE_DEVICE();
  draw d;
  struct along final {
    axis from, to;
  };
  for (const along& l : {along{axis::chan, axis::chan}, along{axis::chan, axis::state}, along{axis::chan, axis::rank},
                         along{axis::rank, axis::chan}})
    for (int round = 0; round < 40; ++round) {
      extents x_size = d.sizes({axis::token, l.from}), y_size = single, w_size = single;
      at(y_size, axis::token) = at(x_size, axis::token);
      at(y_size, l.to) = d.odd();
      at(w_size, axis::token) = at(y_size, l.to);
      at(w_size, axis::head) = at(x_size, l.from);
      if (round % 2 == 1)  // other axes pass through
        for (extents* size : {&x_size, &y_size})
          for (const axis a : {axis::head, axis::tap, axis::part})
            at(*size, a) = 1 + static_cast<std::size_t>(round % 3);
      operand w = d.of(w_size), x = d.of(x_size, d.any()), y = d.of(y_size), g = d.of(y_size, d.any()),
              back = d.of(x_size);
      both([&](const auto& k, auto type) {
        using T = decltype(type);
        k.linear(w.as<T>(), l.from, l.to, x.as<T>(), y.as<T>());
        k.linear_adjoint(w.as<T>(), l.from, l.to, g.as<T>(), back.as<T>());
      });
      check_same(y);
      check_same(back);
    }
}

ON_EVERY_DEVICE("matrices act on every tap of a filter") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    extents x_size = single, y_size = single, w_size = single;
    at(x_size, axis::tap) = at(y_size, axis::tap) = 1 + d.below(700);
    at(x_size, axis::state) = at(w_size, axis::head) = d.odd();
    at(y_size, axis::chan) = at(w_size, axis::token) = 1 + d.below(300);
    operand w = d.of(w_size), x = d.of(x_size, d.any()), y = d.of(y_size);
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      k.linear(w.as<T>(), axis::state, axis::chan, x.as<T>(), y.as<T>());
    });
    check_same(y);
  }
}

ON_EVERY_DEVICE("running maxima and recurrences are their definitions") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    const extents size = d.sizes({axis::token, axis::chan, axis::state, axis::column});
    const extents before = reference::one_token(size);
    operand a = d.of(d.without_any(size), d.any()), x = d.of(d.without_any(size), d.any()), h = d.of(before),
            y = d.of(size, d.any()), h_adjoint = d.of(before), y_adjoint = d.of(size, d.any()),
            peaks = d.of(size, d.any());
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      const std::array<view<const T>, 2> operands{a.as<T>(), x.as<T>()};
      k.scan(scan_program(false), operands, h.as<T>(), y.as<T>());
      k.scan(scan_program(true), operands, h_adjoint.as<T>(), y_adjoint.as<T>());
      k.peak(a.as<T>(), x.as<T>(), peaks.as<T>());
    });
    for (const operand* o : {&h, &y, &h_adjoint, &y_adjoint, &peaks}) check_same(*o);
  }
}

/// A factored control: both factors may lack axes and be slices; the first has no state.
struct control_operands final {
  operand u, v;
  template <class T>
  factored<T> as() {
    return {u.as<T>(), v.as<T>()};
  }
};

/// The operands of an Unrolled and of the rank one of its transition.
struct unrolled_operands final {
  control_operands decay, b, c, p, q, bonus;
  operand x, h, y;
  bool logarithmic, exclusive, has_bonus;
  /// @param of_heads  all channels of a head share the controls, as a rank one needs
  unrolled_operands(draw& d, bool of_heads) : logarithmic(d.maybe()), exclusive(d.maybe()), has_bonus(d.maybe()) {
    const extents stream = d.sizes({axis::token, axis::head, axis::chan, axis::column});
    extents lanes = stream, before = stream;
    at(lanes, axis::column) = at(before, axis::token) = 1;
    extents control = lanes;
    at(control, axis::state) = at(before, axis::state) = d.odd();
    const auto some = [&](double low, double high) {
      extents u = d.without(lanes, {axis::token, axis::head, axis::chan}), v = d.without_any(control);
      if (of_heads) at(u, axis::chan) = at(v, axis::chan) = 1;
      return control_operands{d.of(u, d.any(), 0, 1), d.of(v, d.any(), low, high)};
    };
    decay = some(-1, 0);
    b = some(-1, 1);
    c = some(-1, 1);
    p = some(-0.5, 0.5);
    q = some(-0.5, 0.5);
    bonus = some(-1, 1);
    x = d.of(stream, d.any());
    h = d.of(before);
    y = d.of(stream, d.any());
  }
  template <class T>
  recurrence<T> as() {
    recurrence<T> r{decay.as<T>(), b.as<T>(), c.as<T>(), logarithmic, exclusive};
    if (has_bonus) r.bonus = bonus.as<T>();
    return r;
  }
  template <class T>
  rank_one_recurrence<T> with_rank_one() {
    recurrence<T> diagonal = as<T>();
    diagonal.bonus.reset();
    return {diagonal, p.as<T>(), q.as<T>()};
  }
  template <class T>
  void run(void (*kernel)(const recurrence<T>&, view<const T>, view<T>, view<T>)) {
    kernel(as<T>(), x.as<T>(), h.as<T>(), y.as<T>());
  }
  template <class T>
  void run(void (*kernel)(const rank_one_recurrence<T>&, view<const T>, view<T>, view<T>)) {
    kernel(with_rank_one<T>(), x.as<T>(), h.as<T>(), y.as<T>());
  }
};

ON_EVERY_DEVICE("an Unrolled and its transpose are their definitions") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round) {
    unrolled_operands forward(d, d.maybe()), back(d, d.maybe()), corrected(d, true), corrected_back(d, true);
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      forward.run<T>(k.unrolled);
      back.run<T>(k.unrolled_adjoint);
      corrected.run<T>(k.rank_one);
      corrected_back.run<T>(k.rank_one_adjoint);
    });
    for (unrolled_operands* o : {&forward, &back, &corrected, &corrected_back})
      for (const operand* y : {&o->h, &o->y}) check_same(*y);
  }
}

// ---- Transposes

template <class T>
struct dot final {
  double sum = 0, size = 0;
  dot(view<T> p, view<T> q) {
    reference::each(
        p.size,
        [this](const T& a, const T& b) {
          sum += static_cast<double>(a) * static_cast<double>(b);
          size += std::abs(static_cast<double>(a) * static_cast<double>(b));
        },
        p, q);
  }
};

/// <g, y> = <z, x> to the rounding of T.
template <class T>
void check_dots(operand& g, operand& y, operand& z, operand& x) {
  const dot<T> one(g.as<T>(), y.as<T>()), other(z.as<T>(), x.as<T>());
  const double rounding = std::is_same_v<T, float> ? in_float : 1e-13;
  CHECK(std::abs(one.sum - other.sum) <= rounding * std::max({1.0, one.size, other.size}));  // terms are of order one
}

ON_EVERY_DEVICE("dot tests of matrices filters recurrences attention and Unrolleds in float32 and double") {
  USE_DEVICE();
  draw d;
  for (int round = 0; round < rounds; ++round)
    both([&](const auto& k, auto type) {
      using T = decltype(type);
      {
        extents x_size = d.sizes({axis::token, axis::chan}), y_size = single, w_size = single;
        at(y_size, axis::token) = at(x_size, axis::token);
        at(y_size, axis::rank) = at(w_size, axis::token) = d.odd();
        at(w_size, axis::head) = at(x_size, axis::chan);
        operand w = d.of(w_size), x = d.of(x_size), y = d.of(y_size), g = d.of(y_size), z = d.of(x_size);
        k.linear(w.as<T>(), axis::chan, axis::rank, x.as<T>(), y.as<T>());
        k.linear_adjoint(w.as<T>(), axis::chan, axis::rank, g.as<T>(), z.as<T>());
        check_dots<T>(g, y, z, x);
      }
      {
        const extents size = d.sizes({axis::token, axis::chan, axis::column});
        extents tap_size = single;
        at(tap_size, axis::chan) = at(size, axis::chan);
        at(tap_size, axis::tap) = 4;
        operand w = d.of(tap_size), x = d.of(size), y = d.of(size), g = d.of(size), z = d.of(size);
        k.fir(w.as<T>(), x.as<T>(), y.as<T>());
        k.fir_adjoint(w.as<T>(), g.as<T>(), z.as<T>());
        check_dots<T>(g, y, z, x);
      }
      {
        const extents size = d.sizes({axis::token, axis::chan, axis::state, axis::column});
        operand a = d.of(d.without_any(size)), x = d.of(size), y = d.of(size), g = d.of(size), z = d.of(size),
                h = d.of(reference::one_token(size));
        k.fill(0, h.as<T>());
        const std::array<view<const T>, 2> forward{a.as<T>(), x.as<T>()}, backward{a.as<T>(), g.as<T>()};
        k.scan(scan_program(false), forward, h.as<T>(), y.as<T>());
        k.fill(0, h.as<T>());
        k.scan(scan_program(true), backward, h.as<T>(), z.as<T>());
        check_dots<T>(g, y, z, x);
      }
      {
        attention_operands o(d);
        operand g = d.of(o.y.size), z = d.of(o.x.size);
        k.attend(o.q.template as<T>(), o.k.template as<T>(), true, o.window, o.x.template as<T>(),
                 o.y.template as<T>());
        k.attend_adjoint(o.q.template as<T>(), o.k.template as<T>(), true, o.window, g.as<T>(), z.as<T>());
        check_dots<T>(g, o.y, z, o.x);
      }
      {
        for (const bool rank_one : {false, true}) {
          unrolled_operands o(d, rank_one || d.maybe());
          operand g = d.of(o.y.size), z = d.of(o.x.size);
          k.fill(0, o.h.template as<T>());
          rank_one ? o.template run<T>(k.rank_one) : o.template run<T>(k.unrolled);
          k.fill(0, o.h.template as<T>());
          if (rank_one)
            k.rank_one_adjoint(o.template with_rank_one<T>(), g.as<T>(), o.h.template as<T>(), z.as<T>());
          else
            k.unrolled_adjoint(o.template as<T>(), g.as<T>(), o.h.template as<T>(), z.as<T>());
          check_dots<T>(g, o.y, z, o.x);
        }
      }
    });
}

}  // namespace
}  // namespace alphaform

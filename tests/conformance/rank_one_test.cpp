// Recurrences with a transition diagonal plus rank one on the processor, against plain loops in double.
#include <doctest/doctest.h>

#include <alphaform/backends/cpu/heads/rank_one.hpp>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "../devices.hpp"

namespace alphaform {
namespace {

/// A stream in storage that is larger than it, or has its tokens innermost.
struct stream final {
  std::vector<float> numbers;
  extents size = single, stride{};
  std::size_t first = 0;
  operator view<float>() { return {numbers.data() + first, size, stride}; }
  operator view<const float>() const { return {numbers.data() + first, size, stride}; }
};

float at_place(view<const float> v, const extents& i) {
  std::size_t o = 0;
  for (std::size_t a = 0; a < axis_count; ++a) o += i[a] * v.stride[a];
  return v.data[o];
}
double at_place(const factored<float>& f, const extents& i) {
  return static_cast<double>(at_place(f.u, i)) * static_cast<double>(at_place(f.v, i));
}

struct draw final {
  std::mt19937 random{20250117};
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); }
  std::size_t one_of(std::initializer_list<std::size_t> choice) { return choice.begin()[below(choice.size())]; }

  stream of(const extents& size, bool whole, float low, float high) {
    stream s;
    s.size = size;
    extents room = size;
    const std::size_t kind = whole ? 0 : below(3);
    if (kind == 1) std::swap(at(room, axis::token), at(room, axis::column));
    if (kind == 2)
      for (std::size_t& n : room) n += n > 1 ? 2 : 0;
    s.stride = contiguous(room);
    if (kind == 1) std::swap(at(s.stride, axis::token), at(s.stride, axis::column));
    if (kind == 2)
      for (const std::size_t n : s.stride) s.first += n;
    s.numbers.resize(volume(room));
    std::uniform_real_distribution<float> uniform(low, high);
    for (float& n : s.numbers) n = uniform(random);
    return s;
  }
  /// Some of the axes of `size`; a missing one is the same for all.
  extents some(extents size) {
    for (std::size_t& n : size)
      if (below(4) == 0) n = 1;
    return size;
  }
};

struct truth final {
  std::vector<double> h, y;  // contiguous, as h.size and y.size are
};

/// The definition, a (group, head, channel, column) at a time; y holds what h reads before x is added if exclusive.
truth in_double(bool transposed, const rank_one_recurrence<float>& r, view<const float> x, view<const float> h,
                const extents& y_size) {
  truth t{std::vector<double>(volume(h.size)), std::vector<double>(volume(y_size))};
  const extents h_step = contiguous(h.size), y_step = contiguous(y_size);
  const std::size_t tokens = at(y_size, axis::token), states = h.of(axis::state);
  extents columns = h.size;
  at(columns, axis::state) = 1;
  extents i{};
  for (bool more = true; more;) {
    const auto offset = [&](const extents& step) {
      std::size_t o = 0;
      for (std::size_t a = 0; a < axis_count; ++a) o += i[a] * step[a];
      return o;
    };
    std::vector<double> z(states);
    const auto place = [&](std::size_t token, std::size_t n) {
      extents p = i;
      at(p, axis::token) = token;
      at(p, axis::state) = n;
      return p;
    };
    for (std::size_t n = 0; n < states; ++n) z[n] = static_cast<double>(at_place(h, place(0, n)));
    const factored<float>&write = transposed ? r.diagonal.read : r.diagonal.write,
          &read = transposed ? r.diagonal.write : r.diagonal.read, &p = transposed ? r.q : r.p,
          &q = transposed ? r.p : r.q;
    for (std::size_t k = 0; k < tokens; ++k) {
      const std::size_t token = transposed ? tokens - 1 - k : k;
      const auto transit = [&] {
        double w = 0;
        for (std::size_t n = 0; n < states; ++n) w += at_place(q, place(token, n)) * z[n];
        for (std::size_t n = 0; n < states; ++n) {
          const double decay = at_place(r.diagonal.decay, place(token, n));
          z[n] = (r.diagonal.logarithmic ? std::exp(decay) : 1 + decay) * z[n] + at_place(p, place(token, n)) * w;
        }
      };
      const auto add = [&] {
        for (std::size_t n = 0; n < states; ++n)
          z[n] += at_place(write, place(token, n)) * static_cast<double>(at_place(x, place(token, 0)));
      };
      const auto sum = [&] {
        double y = 0;
        for (std::size_t n = 0; n < states; ++n) y += at_place(read, place(token, n)) * z[n];
        t.y[offset(y_step) + token * at(y_step, axis::token)] = y;
      };
      if (r.diagonal.exclusive)
        sum(), transit(), add();
      else if (transposed)
        add(), sum(), transit();
      else
        transit(), add(), sum();
    }
    for (std::size_t n = 0; n < states; ++n) t.h[offset(h_step) + n * at(h_step, axis::state)] = z[n];
    std::size_t a = axis_count;
    while (a > 0 && ++i[a - 1] == columns[a - 1]) i[--a] = 0;
    more = a > 0;
  }
  return t;
}

/// The largest difference, relative to the largest entry.
double error(const std::vector<double>& exact, view<const float> got) {
  double most = 0, off = 0;
  const extents step = contiguous(got.size);
  for (std::size_t k = 0; k < exact.size(); ++k) {
    extents i{};
    for (std::size_t a = 0; a < axis_count; ++a) i[a] = step[a] == 0 ? 0 : k / step[a] % got.size[a];
    const double difference = std::abs(static_cast<double>(at_place(got, i)) - exact[k]);
    off = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(off, difference);
    most = std::max(most, std::abs(exact[k]));
  }
  return most == 0 ? off : off / most;
}

void check(const rank_one_recurrence<float>& r, const stream& x, const stream& h, draw& random, bool whole,
           double tolerance) {
  extents y_size = h.size;
  at(y_size, axis::token) = x.size[0];
  at(y_size, axis::state) = 1;
  for (const bool transposed : {false, true}) {
    const truth exact = in_double(transposed, r, x, h, y_size);
    stream state = h, y = random.of(y_size, whole, 0, 1);
    (transposed ? test::tested->rank_one_adjoint : test::tested->rank_one)(r, x, state, y);
    CAPTURE(transposed);
    CHECK(error(exact.y, y) <= tolerance);
    CHECK(error(exact.h, state) <= tolerance);
  }
}

ON_EVERY_DEVICE("rank-one transitions of any sizes, strides and decays") {
  USE_DEVICE();
  draw random;
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    extents h_size = single;
    at(h_size, axis::group) = random.one_of({1, 1, 2});
    at(h_size, axis::head) = random.one_of({1, 2, 3});
    at(h_size, axis::chan) = random.one_of({1, 3, 4, 16, 17, 33, 64, 70});
    at(h_size, axis::state) = random.one_of({1, 2, 5, 8, 16, 19, 64, 130});
    at(h_size, axis::column) = random.one_of({1, 1, 1, 2, 5});
    const std::size_t tokens = random.one_of({1, 2, 5, 7, 8, 15, 16, 17, 40});
    extents row = h_size, number;
    at(row, axis::token) = tokens;
    at(row, axis::column) = 1;
    extents x_size = row;
    at(x_size, axis::column) = h_size[axis_count - 1];
    at(x_size, axis::state) = 1;
    if (random.below(8) != 0) at(row, axis::chan) = 1;
    number = row;
    at(number, axis::state) = 1;

    const float scale = 1 / std::sqrt(static_cast<float>(at(h_size, axis::state)));
    const auto any = [&](const extents& size, float low, float high) {
      return random.of(random.some(size), false, low, high);
    };
    stream u = any(number, -1, 1), p = any(row, -scale, scale), q = any(row, -scale, scale), b = any(row, -1, 1),
           c = any(row, -1, 1), beta = any(number, 0, 1), strength = any(number, 0, 1), decay = any(row, -1, 0);
    rank_one_recurrence<float> r;
    r.diagonal = {{strength, decay}, {beta, b}, {u, c}, random.below(2) == 0, random.below(2) == 0};
    r.p = {u, p};
    r.q = {beta, q};
    if (random.below(2) == 0) r.p.v = r.diagonal.write.v;  // one of the shared rows
    if (random.below(4) == 0) r.diagonal.read.v = r.q.v;
    if (random.below(4) == 0) std::fill(strength.numbers.begin(), strength.numbers.end(), 0.0f);
    if (random.below(4) == 0) {
      std::fill(strength.numbers.begin(), strength.numbers.end(), 1.0f);
      for (float& l : decay.numbers)
        if (random.below(3) == 0) l = r.diagonal.logarithmic ? -std::numeric_limits<float>::infinity() : -1;
    }
    // |A_t| <= 1 + |p| |q| may grow: as many rounding errors as tokens, of a state that lasts.
    check(r, random.of(random.some(x_size), false, -1, 1), random.of(h_size, true, -1, 1), random, false, 2e-5);
  }
}

ON_EVERY_DEVICE("large heads with rank-one transitions are what their definition says") {
  USE_DEVICE();
  draw random;
  for (int round = 0; round < 64; ++round) {
    CAPTURE(round);
    extents h_size = single;
    at(h_size, axis::group) = random.one_of({1, 2});
    at(h_size, axis::head) = random.one_of({1, 3});
    at(h_size, axis::chan) = random.one_of({16, 17, 40, 64, 70});
    at(h_size, axis::state) = random.one_of({16, 19, 33, 64, 100, 128});
    extents row = h_size;
    at(row, axis::token) = random.one_of({64, 65, 100, 128, 200, 300});
    at(row, axis::chan) = 1;
    extents number = row, x_size = row;
    at(number, axis::state) = at(x_size, axis::state) = 1;
    at(x_size, axis::chan) = at(h_size, axis::chan);

    // A = Diag(w) - k (a k)' with |k| = 1, w and a in [0, 1], as in RWKV-7: no state grows.
    const bool whole = random.below(2) == 0;
    stream k = random.of(row, true, -1, 1), minus = random.of(single, true, -1, -1),
           one = random.of(single, true, 1, 1), rate = random.of(row, true, 0, 1);
    const std::size_t states = at(row, axis::state);
    for (std::size_t t = 0; t < k.numbers.size(); t += states) {
      float square = 0;
      for (std::size_t n = 0; n < states; ++n) square += k.numbers[t + n] * k.numbers[t + n];
      for (std::size_t n = 0; n < states; ++n) {
        k.numbers[t + n] /= std::sqrt(square);
        rate.numbers[t + n] *= k.numbers[t + n];
      }
    }
    const float strongest = random.below(2) == 0 ? 0.01f : 1.0f;
    stream strength = random.of(random.some(number), whole, 0, strongest),
           decay = random.of(random.below(4) == 0 ? number : random.some(row), whole, -1, 0),
           beta = random.of(random.some(number), whole, 0, 1), b = random.of(row, whole, -1, 1),
           c = random.of(row, whole, -1, 1);
    rank_one_recurrence<float> r;
    r.diagonal = {{strength, decay}, {beta, b}, {one, c}, random.below(2) == 0, random.below(3) == 0};
    r.p = {minus, k};
    r.q = {one, rate};
    if (random.below(4) == 0) {
      std::fill(strength.numbers.begin(), strength.numbers.end(), 1.0f);
      for (float& l : decay.numbers)
        if (random.below(8) == 0) l = r.diagonal.logarithmic ? -std::numeric_limits<float>::infinity() : -1;
    }
    // What the engine promises of float.
    check(r, random.of(x_size, whole, -1, 1), random.of(h_size, true, -1, 1), random, false, 1e-5);
  }
}

/// DeltaNet over normalised keys: p = -beta k, q = k, b = beta k.
void check_delta_rule(std::size_t tokens, float strongest, bool decays, bool logarithmic, double tolerance) {
  draw random;
  extents row = single, number = single, x_size = single, h_size = single;
  at(row, axis::token) = at(number, axis::token) = at(x_size, axis::token) = tokens;
  at(row, axis::state) = at(h_size, axis::state) = 64;
  at(x_size, axis::chan) = at(h_size, axis::chan) = 16;
  stream k = random.of(row, true, -1, 1), q = random.of(row, true, -1, 1), minus = random.of(number, true, 0, 1),
         beta = random.of(number, true, 0, strongest), change = random.of(number, true, -0.02f, 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    float square = 0;
    for (std::size_t n = 0; n < 64; ++n) square += k.numbers[t * 64 + n] * k.numbers[t * 64 + n];
    for (std::size_t n = 0; n < 64; ++n) k.numbers[t * 64 + n] /= std::sqrt(square);
    if (!decays) change.numbers[t] = 0;
    minus.numbers[t] = -beta.numbers[t];
  }
  stream one = random.of(single, true, 1, 1), none = random.of(single, true, 0, 0);
  rank_one_recurrence<float> r;
  r.diagonal = {{decays ? change : none, one}, {beta, k}, {one, q}, logarithmic, false};
  r.p = {minus, k};
  r.q = {one, k};
  check(r, random.of(x_size, true, -1, 1), random.of(h_size, true, -1, 1), random, true, tolerance);
  stream other = k;  // the same numbers elsewhere: no shared rows
  r.p.v = other;
  check(r, random.of(x_size, true, -1, 1), random.of(h_size, true, -1, 1), random, true, tolerance);
}

/// A stream of which nothing is lost in bfloat16.
stream rounded(stream s) {
  for (float& n : s.numbers) n = std::bit_cast<float>((std::bit_cast<std::uint32_t>(n) + 0x8000u) & 0xffff0000u);
  return s;
}

TEST_CASE("rank-one transitions by products of bfloat16 are their definition but for 8 bits <cuda>") {
  if (!test::cuda_device::exists()) return;
  test::tested = &test::staged_table::of(cuda_kernels(product_precision::bfloat16));
  draw random;
  for (int round = 0; round < 48; ++round) {
    CAPTURE(round);
    extents h_size = single;
    at(h_size, axis::group) = random.one_of({1, 2});
    at(h_size, axis::head) = random.one_of({1, 3});
    at(h_size, axis::chan) = random.one_of({16, 17, 40, 64, 70});
    at(h_size, axis::state) = random.one_of({16, 24, 40, 64, 96, 128});
    extents row = h_size, x_size;
    at(row, axis::token) = random.one_of({64, 65, 100, 128, 200, 1000});
    at(row, axis::chan) = 1;
    extents number = row;
    at(number, axis::state) = 1;
    x_size = number;
    at(x_size, axis::chan) = at(h_size, axis::chan);
    // A = a (1 - beta k k'), |k| = 1, beta in [0, 1], as in Gated DeltaNet: no state grows.
    const std::size_t states = at(row, axis::state);
    stream k = random.of(row, true, -1, 1);
    for (std::size_t t = 0; t < k.numbers.size(); t += states) {
      float square = 0;
      for (std::size_t n = 0; n < states; ++n) square += k.numbers[t + n] * k.numbers[t + n];
      for (std::size_t n = 0; n < states; ++n) k.numbers[t + n] /= std::sqrt(square);
    }
    k = rounded(k);
    stream beta = random.of(number, true, 0, 1), one = random.of(single, true, 1, 1), minus = beta,
           strength = random.of(number, true, 0, random.below(2) == 0 ? 0.01f : 1.0f),
           less = random.of(number, true, -1, 0), b = rounded(random.of(row, true, -1, 1)),
           c = rounded(random.of(row, true, -1, 1));
    rank_one_recurrence<float> r;
    const bool logarithmic = random.below(2) == 0, same_key = random.below(2) == 0;
    if (random.below(4) == 0)
      for (std::size_t t = 0; t < less.numbers.size(); ++t)
        if (random.below(8) == 0)
          strength.numbers[t] = 1, less.numbers[t] = logarithmic ? -std::numeric_limits<float>::infinity() : -1;
    for (std::size_t t = 0; t < minus.numbers.size(); ++t) {
      const float d = strength.numbers[t] * less.numbers[t];
      minus.numbers[t] *= -(logarithmic ? std::exp(d) : 1 + d);
    }
    r.diagonal = {{strength, less}, {beta, same_key ? k : b}, {one, c}, logarithmic, random.below(3) == 0};
    r.p = {minus, k};
    r.q = {one, k};
    // Rows, scores, the inverse, corrections and states are rounded by 2^-9 each, and add up as far as they last.
    check(r, rounded(random.of(x_size, true, -1, 1)), random.of(h_size, true, -1, 1), random, true, 2e-2);
  }
}

ON_EVERY_DEVICE("the delta rule stays exact over 4,096 tokens, also where its transitions are reflections") {
  USE_DEVICE();
  check_delta_rule(4096, 1, false, false, 2e-6);
  check_delta_rule(4096, 2, false, false, 2e-6);
  check_delta_rule(4096, 2, true, false, 2e-6);
  check_delta_rule(4096, 2, true, true, 2e-6);
}

}  // namespace
}  // namespace alphaform

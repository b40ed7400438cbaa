// The chunked kernels of recurrences whose channels share their decays, against their definition in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/backends/cpu/heads/heads.hpp>
#include <alphaform/backends/cpu/products/products.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "../devices.hpp"

namespace alphaform::test {
namespace {

void unrolled_heads(const recurrence<float>& r, view<const float> x, view<float> h, view<float> y) {
  (tests_cpu() ? cpu::unrolled_heads : tested->unrolled)(r, x, h, y);
}
void unrolled_heads_adjoint(const recurrence<float>& r, view<const float> g, view<float> h, view<float> y) {
  (tests_cpu() ? cpu::unrolled_heads_adjoint : tested->unrolled_adjoint)(r, g, h, y);
}

struct numbers final {
  std::vector<float> data;
  view<float> v;
};
numbers zeros(const extents& size) { return {std::vector<float>(volume(size)), {nullptr, size, contiguous(size)}}; }
view<float> in(numbers& n) { return {n.data.data(), n.v.size, n.v.stride}; }

struct sizes final {
  std::size_t tokens, groups, heads, channels, states;
};
extents of_axes(const sizes& s, bool token, bool group, bool head, bool chan, bool state) {
  extents e = single;
  if (token) at(e, axis::token) = s.tokens;
  if (group) at(e, axis::group) = s.groups;
  if (head) at(e, axis::head) = s.heads;
  if (chan) at(e, axis::chan) = s.channels;
  if (state) at(e, axis::state) = s.states;
  return e;
}

std::size_t offset(const view<const float>& v, std::size_t t, std::size_t g, std::size_t h, std::size_t c,
                   std::size_t n) {
  return t * v.step(axis::token) + g * v.step(axis::group) + h * v.step(axis::head) + c * v.step(axis::chan) +
         n * v.step(axis::state);
}
double entry(const view<const float>& v, std::size_t t, std::size_t g, std::size_t h, std::size_t c, std::size_t n) {
  return static_cast<double>(v.data[offset(v, t, g, h, c, n)]);
}
double entry(const factored<float>& f, std::size_t t, std::size_t g, std::size_t h, std::size_t n) {
  return entry(f.u, t, g, h, 0, n) * entry(f.v, t, g, h, 0, n);
}

/// The definition. `state` and the result are laid out as the contiguous h and y of the kernel.
std::vector<double> defined(const sizes& s, const recurrence<float>& r, view<const float> x, bool adjoint,
                            std::vector<double>& state) {
  std::vector<double> y(s.tokens * s.groups * s.heads * s.channels);
  for (std::size_t g = 0; g < s.groups; ++g)
    for (std::size_t h = 0; h < s.heads; ++h)
      for (std::size_t i = 0; i < s.tokens; ++i) {
        const std::size_t t = adjoint ? s.tokens - 1 - i : i;
        for (std::size_t n = 0; n < s.states; ++n) {
          const double d = entry(r.decay, t, g, h, n), a = r.logarithmic ? std::exp(d) : 1 + d;
          const double b = entry(r.write, t, g, h, n), c = entry(r.read, t, g, h, n);
          const double own = r.bonus ? entry(*r.bonus, t, g, h, n) * b * c : 0;
          for (std::size_t k = 0; k < s.channels; ++k) {
            double& z = state[((g * s.heads + h) * s.channels + k) * s.states + n];
            double& out = y[((t * s.groups + g) * s.heads + h) * s.channels + k];
            const double put = (adjoint ? c : b) * entry(x, t, g, h, k, 0), get = adjoint ? b : c;
            out += own * entry(x, t, g, h, k, 0);
            if (r.exclusive) {
              out += get * z;
              z = a * z + put;
            } else if (adjoint) {
              z += put;
              out += get * z;
              z *= a;
            } else {
              z = a * z + put;
              out += get * z;
            }
          }
        }
      }
  return y;
}

double error(const std::vector<float>& is, const std::vector<double>& should) {
  double most = 0, scale = 1e-30;
  for (std::size_t i = 0; i < is.size(); ++i) {
    const double off = std::abs(static_cast<double>(is[i]) - should[i]);
    most = off <= most ? most : off;  // NaN counts
    if (std::isnan(off)) return off;
    scale = std::max(scale, std::abs(should[i]));
  }
  return most / scale;
}

struct problem final {
  sizes s;
  recurrence<float> r;
  std::vector<numbers> kept;
  numbers x, h, y;
};

/// How strong decays are: nats a token, and how many of a thousand decays are 0 and how many exactly 1.
struct decays final {
  float nats = 0.1f;
  unsigned resets = 0, none = 0;
};

problem random_problem(std::mt19937& random, const sizes& s, const decays& strength, bool logarithmic, bool exclusive,
                       bool one_decay) {
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform;
  problem p{.s = s, .r = {}, .kept = {}, .x = {}, .h = {}, .y = {}};
  p.kept.reserve(8);
  const auto coin = [&] { return random() % 3 != 0; };
  const auto stream = [&](const extents& size, auto f) {
    numbers& n = p.kept.emplace_back(zeros(size));
    for (float& e : n.data) e = f();
    return view<const float>(in(n));
  };
  const auto decay = [&] {
    const unsigned lot = static_cast<unsigned>(random() % 1000);
    const float log = lot < strength.resets                   ? -std::numeric_limits<float>::infinity()
                      : lot < strength.resets + strength.none ? 0
                                                              : -2 * strength.nats * uniform(random);
    return logarithmic ? log : std::expm1(log);
  };
  const auto any = [&] { return normal(random); };
  p.r.logarithmic = logarithmic;
  p.r.exclusive = exclusive;
  p.r.decay = {stream(of_axes(s, false, false, coin(), false, false), [] { return 1.0f; }),
               stream(of_axes(s, coin(), coin(), coin(), false, !one_decay), decay)};
  p.r.write = {stream(of_axes(s, coin(), coin(), coin(), false, false), any),
               stream(of_axes(s, coin(), coin(), coin(), false, coin()), any)};
  p.r.read = {stream(of_axes(s, coin(), coin(), coin(), false, false), any),
              stream(of_axes(s, coin(), coin(), coin(), false, coin()), any)};
  p.x = zeros(of_axes(s, coin(), coin(), coin(), coin(), false));
  p.h = zeros(of_axes(s, false, true, true, true, true));
  p.y = zeros(of_axes(s, true, true, true, true, false));
  for (float& e : p.x.data) e = any();
  for (float& e : p.h.data) e = any();
  return p;
}

/// What a token gets of its own input, as in RWKV-6.
void add_bonus(problem& p, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const auto stream = [&](const extents& size) {
    numbers& n = p.kept.emplace_back(zeros(size));
    for (float& e : n.data) e = normal(random);
    return view<const float>(in(n));
  };
  p.r.bonus = factored<float>{stream(of_axes(p.s, random() % 2 == 0, false, true, false, false)),
                              stream(of_axes(p.s, random() % 2 == 0, true, false, false, true))};
}

/// The larger of the errors of the results and of the last state.
double error_of(problem& p, bool adjoint) {
  std::vector<double> state(p.h.data.begin(), p.h.data.end());
  numbers h = p.h, y = p.y;
  const std::vector<double> should = defined(p.s, p.r, in(p.x), adjoint, state);
  std::fill(y.data.begin(), y.data.end(), 77.0f);
  (adjoint ? unrolled_heads_adjoint : unrolled_heads)(p.r, in(p.x), in(h), in(y));
  return std::max(error(y.data, should), error(h.data, state));
}

double checked_error(problem& p, const decays& strength, bool adjoint, double most) {
  const double e = error_of(p, adjoint);
  CAPTURE(p.s.tokens);
  CAPTURE(p.s.channels);
  CAPTURE(p.s.states);
  CAPTURE(adjoint);
  CAPTURE(strength.nats);
  CAPTURE(p.r.logarithmic);
  CAPTURE(p.r.exclusive);
  CHECK(e < most);
  return e;
}

sizes random_sizes(std::mt19937& random) {
  const auto below = [&](unsigned n) { return static_cast<std::size_t>(1 + random() % n); };
  return {below(random() % 2 ? 300 : 30), below(2), below(3), below(random() % 2 ? 70 : 9),
          below(random() % 2 ? 80 : 12)};
}

/// With rows of whole vectors, of so many numbers, and others; some with as many heads as fill a card.
sizes large_sizes(std::mt19937& random, int trial, std::size_t vector) {
  const auto between = [&](std::size_t low, std::size_t high) { return low + random() % (high - low); };
  const std::size_t by = trial % 3 == 0 ? 1 : vector;
  const bool many = trial % 4 == 0;
  const std::size_t tokens = between(64, many ? 200 : 400), groups = between(1, 3),
                    heads = many ? between(9, 14) : between(1, 4), channels = between(many ? 100 : 16, 140) / by * by,
                    states = between(many ? 150 : 16, 200) / by * by;
  return {tokens, groups, heads, channels, states};
}

ON_EVERY_DEVICE("heads are what their definition says, forward and adjoint") {
  USE_DEVICE();
  std::mt19937 random(3);
  const decays strengths[]{{0.001f, 0, 0}, {0.1f, 0, 300}, {0.5f, 0, 0}, {3, 0, 100}, {3, 20, 500},
                           {0.01f, 30, 0}, {20, 100, 100}, {200, 0, 0},  {0, 0, 0},   {0.1f, 1000, 0}};
  double worst = 0;
  for (int trial = 0; trial < 240; ++trial)
    for (const bool adjoint : {false, true}) {
      const sizes s = random_sizes(random);
      const decays& strength = strengths[static_cast<std::size_t>(trial) % std::size(strengths)];
      problem p = random_problem(random, s, strength, random() % 2 == 0, random() % 2 == 0, random() % 2 == 0);
      REQUIRE(cpu::shares_decay_among_channels(p.r, in(p.x)));
      // Sums of up to 300 tokens and 80 states in float.
      worst = std::max(worst, checked_error(p, strength, adjoint, 5e-6));
    }
  MESSAGE("largest error over scale: " << worst);
}

ON_EVERY_DEVICE("large heads are what their definition says, with and without a bonus") {
  USE_DEVICE();
  std::mt19937 random(4);
  const decays strengths[]{{0.01f, 0, 0}, {0.2f, 0, 100}, {0.6f, 2, 0}, {2, 0, 0}, {3, 20, 500}, {60, 10, 0}};
  double worst = 0;
  for (int trial = 0; trial < 48; ++trial)
    for (const bool adjoint : {false, true}) {
      const sizes s = large_sizes(random, trial, 4);
      const decays& strength = strengths[static_cast<std::size_t>(trial) % std::size(strengths)];
      problem p = random_problem(random, s, strength, random() % 2 == 0, random() % 2 == 0, random() % 2 == 0);
      if (random() % 2 == 0) add_bonus(p, random);
      // What is promised of float; sums of up to 400 tokens and 200 states.
      worst = std::max(worst, checked_error(p, strength, adjoint, 1e-5));
    }
  MESSAGE("largest error over scale: " << worst);
}

TEST_CASE("heads by products of bfloat16 are their definition but for 8 bits <cuda>") {
  if (!cuda_device::exists()) return;
  tested = &staged_table::of(cuda_kernels(product_precision::bfloat16));
  std::mt19937 random(6);
  const decays strengths[]{{0.01f, 0, 0}, {0.2f, 0, 100}, {0.6f, 2, 0}, {2, 0, 0}, {3, 20, 500}, {60, 10, 0}};
  for (int trial = 0; trial < 48; ++trial)
    for (const bool adjoint : {false, true}) {
      const sizes s = large_sizes(random, trial, 8);
      const decays& strength = strengths[static_cast<std::size_t>(trial) % std::size(strengths)];
      problem p = random_problem(random, s, strength, random() % 2 == 0, random() % 2 == 0, random() % 2 == 0);
      if (random() % 2 == 0) add_bonus(p, random);
      // What is read, written and given is rounded by 2^-9 at most, and so are rows with their decays, scores and
      // states: 1.2e-2 of the largest product if all six agree. Results may be smaller than what they are sums of.
      const double e = checked_error(p, strength, adjoint, 2e-2);
      CHECK(e > 1e-5);  // they are rounded indeed
    }
}

ON_EVERY_DEVICE("the adjoint of heads is their transpose") {
  USE_DEVICE();
  std::mt19937 random(5);
  for (int trial = 0; trial < 40; ++trial) {
    const sizes s = random_sizes(random);
    problem p = random_problem(random, s, {0.3f, 5, 100}, true, trial % 2 == 0, trial % 4 < 2);
    p.x = p.y;  // every axis
    std::normal_distribution<float> normal;
    numbers g = p.y, hg = p.y, h = p.h;
    for (float& e : p.x.data) e = normal(random);
    for (float& e : g.data) e = normal(random);
    std::fill(h.data.begin(), h.data.end(), 0.0f);
    unrolled_heads(p.r, in(p.x), in(h), in(p.y));
    std::fill(h.data.begin(), h.data.end(), 0.0f);
    unrolled_heads_adjoint(p.r, in(g), in(h), in(hg));
    double one = 0, other = 0, scale = 0;
    for (std::size_t i = 0; i < g.data.size(); ++i) {
      one += static_cast<double>(g.data[i]) * static_cast<double>(p.y.data[i]);
      other += static_cast<double>(hg.data[i]) * static_cast<double>(p.x.data[i]);
      scale += std::abs(static_cast<double>(g.data[i]) * static_cast<double>(p.y.data[i]));
    }
    CHECK(std::abs(one - other) <= 1e-6 * scale + 1e-30);
  }
}

ON_EVERY_DEVICE("a reset forgets a large state completely") {
  USE_DEVICE();
  std::mt19937 random(8);
  for (const bool one_decay : {false, true})
    for (const bool adjoint : {false, true})
      for (const std::size_t tokens : {1u, 15u, 16u, 64u, 130u}) {
        const sizes s{tokens, 1, 1, 5, 19};
        problem p = random_problem(random, s, {0.1f, 0, 0}, true, false, one_decay);
        std::vector<float>& log = p.kept[1].data;
        std::fill(log.begin(), log.end(), -std::numeric_limits<float>::infinity());
        for (float& e : p.h.data) e *= 1e12f;
        for (std::size_t k = 2; k < 6; ++k)  // one sign, so that sums over states do not cancel
          for (float& e : p.kept[k].data) e = std::abs(e);
        std::vector<double> state(p.h.data.begin(), p.h.data.end());
        const std::vector<double> should = defined(s, p.r, in(p.x), adjoint, state);
        (adjoint ? unrolled_heads_adjoint : unrolled_heads)(p.r, in(p.x), in(p.h), in(p.y));
        CHECK(error(p.h.data, state) < 1e-6);
        if (!adjoint) CHECK(error(p.y.data, should) < 1e-6);
      }
}

ON_EVERY_DEVICE("many heads of 16384 tokens stay accurate at slow decays") {
  USE_DEVICE();
  std::mt19937 random(14);
  for (const bool logarithmic : {false, true})
    for (const bool one_decay : {false, true}) {
      const sizes s{16384, 1, tests_cpu() ? 2u : 110u, 16, 16};
      problem p = random_problem(random, s, {1e-6f, 0, 0}, logarithmic, false, one_decay);
      for (std::size_t k = 2; k < 6; ++k)  // one sign: errors add up
        for (float& e : p.kept[k].data) e = std::abs(e);
      for (float& e : p.x.data) e = std::abs(e);
      CAPTURE(logarithmic);
      CAPTURE(one_decay);
      CHECK(error_of(p, false) < 1e-5);
    }
}

ON_EVERY_DEVICE("heads of 65536 tokens stay accurate in windows of any length") {
  USE_DEVICE();
  std::mt19937 random(13);
  for (const float nats : {1e-6f, 1e-4f, 3e-3f})
    for (const bool logarithmic : {false, true})
      for (const bool one_decay : {false, true})
        for (const std::size_t window : {1u, 256u, 65536u}) {
          if (window == 1 && !tests_cpu()) continue;  // every call moves its operands
          // As large as chunks on a card are made of.
          const sizes s = tests_cpu() ? sizes{65536, 1, 1, 3, 5} : sizes{65536, 1, 1, 16, 16};
          problem p = random_problem(random, s, {nats, 0, 0}, logarithmic, false, one_decay);
          for (std::size_t k = 2; k < 6; ++k)  // one sign: errors add up
            for (float& e : p.kept[k].data) e = std::abs(e);
          for (float& e : p.x.data) e = std::abs(e);
          std::vector<double> state(p.h.data.begin(), p.h.data.end());
          const std::vector<double> should = defined(s, p.r, in(p.x), false, state);
          const auto part = [&](view<const float> v, std::size_t t) { return v.slice(axis::token, t, t + window); };
          for (std::size_t t = 0; t < s.tokens; t += window) {
            recurrence<float> r = p.r;
            for (factored<float>* f : {&r.decay, &r.write, &r.read}) *f = {part(f->u, t), part(f->v, t)};
            unrolled_heads(r, part(in(p.x), t), in(p.h), in(p.y).slice(axis::token, t, t + window));
          }
          CAPTURE(nats);
          CAPTURE(window);
          CAPTURE(one_decay);
          // A window leaves its state in float. One token a window rounds it 65536 times, and the same way where what
          // is written hardly changes: 3e-5 was found; a float sum of constants is off by up to 6e-4.
          const double bound = window == 1 ? 1e-4 : 1e-5;
          CHECK(error(p.y.data, should) < bound);
          CHECK(error(p.h.data, state) < bound);
        }
}

TEST_CASE("products of any size, with rows apart, touch nothing between their rows") {
  std::mt19937 random(21);
  std::normal_distribution<float> normal;
  for (int trial = 0; trial < 200; ++trial) {
    const auto below = [&](unsigned n) { return static_cast<std::size_t>(1 + random() % n); };
    const std::size_t m = below(trial % 3 ? 20 : 150), n = below(trial % 2 ? 40 : 150) + (trial % 20 ? 0 : 1100),
                      k = below(trial % 5 ? 70 : 600);
    const std::size_t a_row = k + random() % 3, b_row = k + random() % 5, c_row = n + random() % 3, y_row = n + 2;
    std::vector<float> a(m * a_row), b(n * b_row), c(k * c_row), y(m * y_row);
    for (std::vector<float>* all : {&a, &b, &c, &y})
      for (float& e : *all) e = normal(random);
    std::vector<float> added = y, rows = y, made = y;
    cpu::product(m, n, k, a.data(), a_row, b.data(), b_row, added.data(), y_row);
    cpu::product_rows(m, n, k, a.data(), a_row, c.data(), c_row, rows.data(), y_row, true);
    cpu::product_rows(m, n, k, a.data(), a_row, c.data(), c_row, made.data(), y_row, false);
    std::vector<double> of_added(y.begin(), y.end()), of_rows = of_added, of_made = of_added;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double by_row = 0, by_column = 0;
        for (std::size_t q = 0; q < k; ++q) {
          by_row += static_cast<double>(a[i * a_row + q]) * static_cast<double>(b[j * b_row + q]);
          by_column += static_cast<double>(a[i * a_row + q]) * static_cast<double>(c[q * c_row + j]);
        }
        of_added[i * y_row + j] += by_row;
        of_rows[i * y_row + j] += by_column;
        of_made[i * y_row + j] = by_column;
      }
    CHECK(error(added, of_added) < 2e-6);
    CHECK(error(rows, of_rows) < 2e-6);
    CHECK(error(made, of_made) < 2e-6);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = n; j < y_row; ++j) {
        CHECK(added[i * y_row + j] == y[i * y_row + j]);
        CHECK(rows[i * y_row + j] == y[i * y_row + j]);
        CHECK(made[i * y_row + j] == y[i * y_row + j]);
      }
  }
}

}  // namespace
}  // namespace alphaform::test

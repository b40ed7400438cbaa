// Maps over channels against every channel's matrix entry by entry in double: all kinds of decay, filters, weights,
// sizes that divide by nothing, and the same bits whatever the number of threads.
#include <doctest/doctest.h>

#include <alphaform/backends/cpu/maps/maps.hpp>
#include <alphaform/backends/parallel.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "../devices.hpp"

namespace alphaform::test {
namespace {

constexpr axis time = axis::token, chan = axis::chan, state = axis::state;

/// A stream of numbers over some of the axes token, chan, state and tap.
struct stored final {
  std::vector<float> numbers;
  view<const float> v;
};
template <class Number>
stored make(std::size_t tokens, std::size_t channels, std::size_t states, std::size_t taps, Number number) {
  stored s;
  at(s.v.size, time) = tokens;
  at(s.v.size, chan) = channels;
  at(s.v.size, state) = states;
  at(s.v.size, axis::tap) = taps;
  s.v.stride = contiguous(s.v.size);
  s.numbers.resize(volume(s.v.size));
  for (float& x : s.numbers) x = number();
  s.v.data = s.numbers.data();
  return s;
}
double entry(const view<const float>& v, std::size_t t, std::size_t c, std::size_t n) {
  return v.data[t * v.step(time) + c * v.step(chan) + n * v.step(state)];
}
double entry(const factored<float>& f, std::size_t t, std::size_t c, std::size_t n) {
  return entry(f.u, t, c, 0) * entry(f.v, t, c, n);
}

std::vector<double> channel_matrix(const channel_matrices<float>& m, std::size_t c, std::size_t tokens,
                                   std::size_t states) {
  std::vector<double> core(tokens * tokens, 0.0);
  for (std::size_t n = 0; n < states; ++n)
    for (std::size_t s = 0; s < tokens; ++s) {
      double product = entry(m.core.write, s, c, n);
      for (std::size_t t = s; t < tokens; ++t) {
        const double x = entry(m.core.decay, t, c, n), a = m.core.logarithmic ? std::exp(x) : 1 + x;
        if (t > s && !m.core.exclusive) product *= a;
        if (t > s || !m.core.exclusive) core[t * tokens + s] += entry(m.core.read, t, c, n) * product;
        if (t > s && m.core.exclusive) product *= a;
      }
    }
  for (std::size_t t = 0; t < tokens; ++t) core[t * tokens + t] += entry(m.skip, t, c, 0);
  if (m.taps.data == nullptr) return core;
  std::vector<double> filtered(tokens * tokens, 0.0);
  const std::size_t taps = m.taps.of(axis::tap);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t s = 0; s <= t; ++s)
      for (std::size_t k = 0; k < taps && s + k <= t; ++k)
        filtered[t * tokens + s] +=
            core[t * tokens + s + k] * m.taps.data[c * m.taps.step(chan) + (taps - 1 - k) * m.taps.step(axis::tap)];
  return filtered;
}

std::vector<double> expected(const channel_matrices<float>& m, over_channels over, std::size_t tokens,
                             std::size_t channels, std::size_t states, std::vector<double> map) {
  for (std::size_t c = 0; c < channels; ++c) {
    const double weight = entry(m.weight, 0, c, 0);
    const std::vector<double> h = channel_matrix(m, c, tokens, states);
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t s = 0; s <= t; ++s) {
        const double x = h[t * tokens + s];
        double& y = map[t * tokens + s];
        if (over == over_channels::sum) y += weight * x;
        if (over == over_channels::absolute) y += weight * std::abs(x);
        if (over == over_channels::positive) y += weight * std::max(x, 0.0);
        if (over == over_channels::maximum) y = std::max(y, weight * std::abs(x));
      }
  }
  return map;
}

struct sizes final {
  std::size_t tokens, channels, states, taps;
};
/// Which axes the factors have, and what kind of decay.
struct kind final {
  bool logarithmic, exclusive, skip;
  bool v_token, v_chan, v_state;  ///< of the decay's v
  float strength;                 ///< of the decay
  bool vectors_by_channel;        ///< read and write have vectors of each channel
  bool constant_vectors;          ///< that are the same for all tokens
};

/// Owns the numbers of channel_matrices.
struct example final {
  std::vector<stored> streams;
  channel_matrices<float> matrices;

  example(sizes z, const kind& k, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> unit(0, 1);
    std::normal_distribution<float> normal;
    const auto keep = [this](stored s) {
      streams.push_back(std::move(s));
      return streams.back().v;
    };
    streams.reserve(16);
    const auto signed_number = [&] { return normal(random); };
    const auto step = [&] {
      const float x = unit(random);
      if (x < 0.02f && k.strength > 1) return k.logarithmic ? std::numeric_limits<float>::infinity() : 1.0f;
      return k.logarithmic ? k.strength * x * x : 1 - std::exp(-k.strength * x * x);
    };
    const auto rate = [&] {
      return k.logarithmic ? -0.1f - unit(random) * static_cast<float>(z.states) : -unit(random);
    };
    const auto reset = [&, n = 0]() mutable { return ++n % 37 == 0 ? -1.0f : -unit(random) * unit(random); };
    channel_matrices<float>& m = matrices;
    m.core.logarithmic = k.logarithmic;
    m.core.exclusive = k.exclusive;
    const bool plain = !k.v_token && !k.v_chan && !k.v_state;
    m.core.decay.u = keep(make(z.tokens, z.channels, 1, 1, step));
    m.core.decay.v =
        keep(plain ? make(1, 1, 1, 1, [] { return -1.0f; })
             : k.logarithmic
                 ? make(k.v_token ? z.tokens : 1, k.v_chan ? z.channels : 1, k.v_state ? z.states : 1, 1, rate)
                 : make(k.v_token ? z.tokens : 1, k.v_chan ? z.channels : 1, k.v_state ? z.states : 1, 1, reset));
    for (factored<float>* f : {&m.core.read, &m.core.write}) {
      f->u = keep(make(z.tokens, z.channels, 1, 1, signed_number));
      f->v = keep(
          make(k.constant_vectors ? 1 : z.tokens, k.vectors_by_channel ? z.channels : 1, z.states, 1, signed_number));
    }
    m.skip =
        k.skip ? keep(make(z.tokens, z.channels, 1, 1, signed_number)) : keep(make(1, 1, 1, 1, [] { return 0.0f; }));
    if (z.taps > 0) m.taps = keep(make(1, z.channels, 1, z.taps, signed_number));
    m.weight = k.skip ? keep(make(1, z.channels, 1, 1, signed_number)) : keep(make(1, 1, 1, 1, [] { return 0.25f; }));
  }
};

view<float> square_of(std::vector<float>& numbers, std::size_t tokens) {
  view<float> v;
  v.data = numbers.data();
  at(v.size, time) = at(v.size, axis::column) = tokens;
  v.stride = contiguous(v.size);
  return v;
}

constexpr over_channels every[]{over_channels::sum, over_channels::absolute, over_channels::positive,
                                over_channels::maximum};

/// The largest difference over the largest entry, and entries above the diagonal that changed.
double difference(const example& e, sizes z, over_channels over) {
  std::vector<float> map(z.tokens * z.tokens);
  std::vector<double> before(map.size());
  for (std::size_t i = 0; i < map.size(); ++i) before[i] = map[i] = 0.001f * static_cast<float>(1 + i % 7);
  tested->channel_map(e.matrices, over, square_of(map, z.tokens));
  const std::vector<double> wanted = expected(e.matrices, over, z.tokens, z.channels, z.states, before);
  double most = 0, scale = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    scale = std::max(scale, std::abs(wanted[i]));
    const double d = std::abs(map[i] - wanted[i]);
    most = d <= most ? most : d;  // NaN is more
  }
  return most / scale;
}

constexpr kind kinds[]{
    {true, false, true, false, true, true, 0.1f, false, false},    // Mamba
    {true, false, false, false, true, true, 50, false, false},     // with resets
    {true, true, true, false, true, true, 0.3f, false, false},     //
    {true, false, true, false, false, false, 0.5f, false, true},   // one decay a channel
    {true, false, true, true, true, true, 0.5f, true, false},      // nothing shared
    {true, false, false, true, false, true, 3, false, false},      //
    {false, false, true, false, false, false, 0.1f, false, true},  // HGRN
    {false, true, true, false, false, false, 50, true, false},     //
    {false, false, true, true, true, true, 0.5f, true, false},     //
    {false, false, false, false, true, true, 0.2f, true, true},    // as of real diagonal state spaces
};
constexpr sizes every_size[]{{1, 5, 3, 2},   {2, 1, 1, 0},   {33, 7, 16, 4},  {64, 17, 1, 0},
                             {70, 6, 5, 3},  {97, 40, 4, 1}, {131, 9, 20, 5}, {150, 33, 2, 4},
                             {150, 5, 8, 0}, {40, 3, 4, 60}, {290, 19, 16, 4}};

/// Errors of the splitting into 16-bit numbers are a few 1e-6 where few channels and states average them.
void check_all(double bound) {
  unsigned seed = 0;
  for (const sizes& z : every_size)
    for (const kind& k : kinds) {
      const example e(z, k, ++seed);
      for (const over_channels over : every) {
        CAPTURE(z.tokens);
        CAPTURE(&k - kinds);
        CAPTURE(static_cast<int>(over));
        CHECK(difference(e, z, over) < bound);
      }
    }
}

ON_EVERY_DEVICE("maps over channels are what the channels' matrices give") {
  USE_DEVICE();
  if (tests_cpu()) {
    cpu::allow_amx(false);
    check_all(2e-6);
    cpu::allow_amx(true);
  }
  check_all(1e-5);
}

TEST_CASE("a map over channels is the same bit for bit with one, two and three threads") {
  const std::size_t before = threads();
  const sizes z{300, 40, 16, 4};
  const example e(z, kinds[0], 7);
  for (const bool amx : {false, true}) {
    cpu::allow_amx(amx);
    for (const over_channels over : every) {
      std::vector<std::vector<float>> maps;
      for (const std::size_t n : std::initializer_list<std::size_t>{1, 2, 3}) {
        use_threads(n);
        maps.emplace_back(z.tokens * z.tokens);
        cpu::channel_map(e.matrices, over, square_of(maps.back(), z.tokens));
      }
      CHECK(maps[0] == maps[1]);
      CHECK(maps[0] == maps[2]);
    }
  }
  use_threads(before);
}

ON_EVERY_DEVICE("a long sequence has the same errors as a short one") {
  USE_DEVICE();
  const sizes z{1100, 2, 3, 4};  // squares of more than one block between a row and its node's middle
  for (const std::size_t k : std::initializer_list<std::size_t>{0, 4, 8}) {
    const example e(z, kinds[k], 11);
    if (tests_cpu()) {
      cpu::allow_amx(false);
      for (const over_channels over : every) CHECK(difference(e, z, over) < 2e-6);
      cpu::allow_amx(true);
    }
    for (const over_channels over : every) CHECK(difference(e, z, over) < (over == over_channels::sum ? 1e-5 : 2e-6));
  }
}

/// The CPU's squares are taller then.
ON_EVERY_DEVICE("a map of more than 4,096 tokens has the same errors as a short one") {
  USE_DEVICE();
  const sizes z{4133, 1, 2, 4};
  const example e(z, kinds[0], 17);
  if (tests_cpu()) {
    cpu::allow_amx(false);
    CHECK(difference(e, z, over_channels::sum) < 2e-6);
    cpu::allow_amx(true);
  }
  CHECK(difference(e, z, over_channels::sum) < 1e-5);
}

/// The same of channels [begin, end) alone.
channel_matrices<float> some_of(channel_matrices<float> m, std::size_t begin, std::size_t end) {
  for (view<const float>* v : {&m.core.decay.u, &m.core.decay.v, &m.core.write.u, &m.core.write.v, &m.core.read.u,
                               &m.core.read.v, &m.skip, &m.taps, &m.weight})
    if (v->data != nullptr && v->of(chan) > 1) *v = v->slice(chan, begin, end);
  return m;
}

/// So many that devices go over channels in several passes, and do not divide those of a tile among blocks.
ON_EVERY_DEVICE("a map over many channels of a long text is the sum of those over a part of them") {
  USE_DEVICE();
  const sizes z{2900, 1200, 3, 4};
  const example e(z, kinds[0], 13);
  for (const over_channels over : {over_channels::sum, over_channels::absolute}) {
    std::vector<float> whole(z.tokens * z.tokens), parts(whole.size());
    tested->channel_map(e.matrices, over, square_of(whole, z.tokens));
    for (const std::size_t begin : std::initializer_list<std::size_t>{0, 500})
      tested->channel_map(some_of(e.matrices, begin, begin == 0 ? 500 : 1200), over, square_of(parts, z.tokens));
    const auto miss = [&whole](const std::vector<float>& other) {
      float most = 0, scale = 0;
      for (std::size_t i = 0; i < whole.size(); ++i) {
        const float d = std::abs(whole[i] - other[i]);
        most = d <= most ? most : d;  // NaN is more
        scale = std::max(scale, std::abs(whole[i]));
      }
      return most / scale;
    };
    CHECK(miss(parts) < 2e-6f);  // sums in another order; then as maps are held against every entry above
    if (tests_cpu()) continue;
    std::vector<float> on_cpu(whole.size());
    cpu::channel_map(e.matrices, over, square_of(on_cpu, z.tokens));
    CHECK(miss(on_cpu) < (over == over_channels::sum ? 1e-5f : 2e-6f));
  }
}

}  // namespace
}  // namespace alphaform::test

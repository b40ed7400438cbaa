// The sums that gradients of unrolled recurrences consist of: the vector code against the definition in double, the
// definition against finite differences, and that long slow decays keep their precision in float.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/backends/cpu/gradient/gradient.hpp>
#include <alphaform/backends/reference/recurrences.hpp>
#include <cmath>
#include <deque>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../devices.hpp"

namespace alphaform {
namespace {

using reference::each;
using kind = state_product;
constexpr axis time = axis::token;
constexpr float infinity = std::numeric_limits<float>::infinity();

/// Which axes a stream has.
struct axes final {
  bool token, head, chan, state;
};
struct sizes final {
  std::size_t tokens, heads, channels, states;

  extents of(const axes& a) const {
    extents e = single;
    if (a.token) at(e, time) = tokens;
    if (a.head) at(e, axis::head) = heads;
    if (a.chan) at(e, axis::chan) = channels;
    if (a.state) at(e, axis::state) = states;
    return e;
  }
};

/// A recurrence, its input, the gradient of its result, and sums; every stream as float and as the same number in
/// double.
struct problem final {
  sizes size;
  std::deque<std::vector<float>> floats;
  std::deque<std::vector<double>> doubles;
  recurrence<float> r;
  recurrence<double> exact_r;
  view<const float> x, g;
  view<const double> exact_x, exact_g;
  std::vector<state_sum<float>> sums;
  std::vector<state_sum<double>> exact_sums;

  explicit problem(const sizes& s) : size(s) {}
  problem(const problem&) = delete;
  problem& operator=(const problem&) = delete;

  struct pair final {
    view<float> in_float;
    view<double> in_double;
  };
  /// A window of a tensor that may be larger along its last axis.
  template <class F>
  pair stream(const axes& a, std::size_t larger, F number) {
    const extents e = size.of(a);
    extents whole = e;
    if (a.chan) at(whole, axis::chan) += larger;
    pair p{{floats.emplace_back(volume(whole), 77.0f).data(), e, contiguous(whole)},
           {doubles.emplace_back(volume(e)).data(), e, contiguous(e)}};
    for (std::size_t k = 0; k < axis_count; ++k)
      if (e[k] == 1) p.in_float.stride[k] = 0;
    each(
        e,
        [&](float& x_, double& y) {
          x_ = static_cast<float>(number());
          y = static_cast<double>(std::max(x_, std::numeric_limits<float>::lowest()));  // 0 times it is 0
        },
        p.in_float, p.in_double);
    return p;
  }
  template <class F, class G>
  void factors(factored<float>& f, factored<double>& d, const axes& u, const axes& v, std::size_t larger, F of_u,
               G of_v) {
    const pair first = stream(u, larger, of_u), second = stream(v, larger, of_v);
    f = {first.in_float, second.in_float};
    d = {first.in_double, second.in_double};
  }
  template <class F>
  void add_sum(kind k, const axes& u, const axes& v, const axes& to, std::size_t larger, F number) {
    state_sum<float> s;
    state_sum<double> e;
    s.of = k, e.of = k;
    factors(s.weight, e.weight, u, v, larger, number, number);
    share_sum(s, e, to, larger);
  }
  void share_sum(state_sum<float> s, state_sum<double> e, const axes& to, std::size_t larger) {
    const pair result = stream(to, larger, [] { return 5; });  // which is overwritten
    s.to = result.in_float, e.to = result.in_double;
    sums.push_back(s);
    exact_sums.push_back(e);
  }

  void run() { test::tested->unrolled_gradient(r, x, g, sums); }
  /// The largest error of each sum over its largest number.
  std::vector<double> errors() {
    run();
    reference::recurrences<double>::unrolled_gradient(exact_r, exact_x, exact_g, exact_sums);
    std::vector<double> all;
    for (std::size_t k = 0; k < sums.size(); ++k) {
      double most = 0, scale = 1e-30;
      each(
          sums[k].to.size,
          [&](float is, double should) {
            const double off = std::abs(static_cast<double>(is) - should);
            most = off <= most ? most : off;  // NaN counts
            scale = std::max(scale, std::abs(should));
          },
          sums[k].to, exact_sums[k].to);
      all.push_back(most / scale);
    }
    return all;
  }
};

std::mt19937 random_bits(11);
double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_bits); }
double normal() { return std::normal_distribution<double>()(random_bits); }
double one() { return 1; }
std::size_t one_of(std::initializer_list<std::size_t> numbers) {
  return numbers.begin()[std::uniform_int_distribution<std::size_t>(0, numbers.size() - 1)(random_bits)];
}
bool coin() { return one_of({0, 1}) == 1; }
axes any_axes() { return {coin(), coin(), coin(), coin()}; }
axes without_state(axes a) {
  a.state = false;
  return a;
}

/// How strong decays are: nats a token, and how many in a hundred forget everything.
struct strength final {
  double nats;
  std::size_t resets = 0;
};
double decay_of(const strength& s, bool logarithmic) {
  const bool reset = one_of({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) == 0 && uniform(0, 10) < static_cast<double>(s.resets);
  const double log = reset ? -std::numeric_limits<double>::infinity() : -uniform(0, 2) * s.nats;
  return logarithmic ? log : std::expm1(log);
}

constexpr axes nothing{false, false, false, false}, tokens{true, false, false, false};

/// Of any axes; x has all but the state, and the decay has that. All is positive, so that sums of everything do not
/// cancel.
void fill_any(problem& p, const strength& s, bool irregular) {
  const auto size = [] { return uniform(0.1, 1); };
  const std::size_t larger = one_of({0, 0, 1, 16});
  const auto u = [&] { return irregular ? any_axes() : without_state(any_axes()); };
  axes of_decay = any_axes();
  of_decay.state = true;
  p.factors(
      p.r.decay, p.exact_r.decay, u(), of_decay, larger, [] { return uniform(0.5, 1); },
      [&] { return decay_of(s, p.r.logarithmic); });
  p.factors(p.r.write, p.exact_r.write, u(), any_axes(), larger, size, size);
  p.factors(p.r.read, p.exact_r.read, u(), any_axes(), larger, size, size);
  const auto x = p.stream({true, true, true, false}, larger, size), g = p.stream(u(), larger, size);
  p.x = x.in_float, p.exact_x = x.in_double;
  p.g = g.in_float, p.exact_g = g.in_double;
  for (int k = 0; k < 6; ++k)
    p.add_sum(static_cast<kind>(one_of({0, 1, 2, 3, 4})), u(), any_axes(), any_axes(), larger, size);
}

/// As Mamba's blocks are: decays of channels and states, what is written and read of states.
void fill_selective(problem& p, const strength& s, std::size_t larger) {
  const axes channels{true, false, true, false}, states{true, false, false, true}, rates{false, false, true, true};
  p.factors(
      p.r.decay, p.exact_r.decay, channels, rates, larger, [] { return uniform(0.01, 1); },
      [&] { return decay_of(s, p.r.logarithmic); });
  p.factors(
      p.r.write, p.exact_r.write, channels, states, larger, [] { return uniform(0.1, 1); }, normal);
  p.factors(p.r.read, p.exact_r.read, nothing, states, larger, one, normal);
  p.r.write.u = p.r.decay.u, p.exact_r.write.u = p.exact_r.decay.u;
  const auto x = p.stream(channels, larger, normal), g = p.stream(channels, larger, normal);
  p.x = x.in_float, p.exact_x = x.in_double;
  p.g = g.in_float, p.exact_g = g.in_double;
  p.share_sum({kind::written, p.r.write, {}}, {state_product::written, p.exact_r.write, {}}, channels, larger);
  p.share_sum({kind::written, {p.x, p.r.write.v}, {}}, {state_product::written, {p.exact_x, p.exact_r.write.v}, {}},
              channels, larger);
  p.share_sum({kind::decayed, {p.r.read.u, p.r.decay.v}, {}},
              {state_product::decayed, {p.exact_r.read.u, p.exact_r.decay.v}, {}}, channels, larger);
  p.add_sum(kind::written, channels, nothing, states, larger, normal);
  p.add_sum(p.r.exclusive ? kind::read_before : kind::read, channels, nothing, states, larger, normal);
  p.add_sum(p.r.logarithmic ? kind::decayed : kind::kept, channels, nothing, rates, larger, normal);
}

/// As heads are: decays, what is written and read are the same for all their channels.
void fill_heads(problem& p, const strength& s) {
  const auto size = [] { return uniform(0.1, 1); };  // see above
  const axes streams{true, true, true, false}, states{true, true, false, true};
  const axes of_decay = coin() ? states : axes{true, true, false, false};
  p.factors(p.r.decay, p.exact_r.decay, nothing, of_decay, 0, one, [&] { return decay_of(s, p.r.logarithmic); });
  p.factors(p.r.write, p.exact_r.write, nothing, states, 0, one, size);
  p.factors(p.r.read, p.exact_r.read, nothing, coin() ? states : axes{true, false, false, true}, 0, one, size);
  const auto x = p.stream(streams, 0, size), g = p.stream(streams, 0, size);
  p.x = x.in_float, p.exact_x = x.in_double;
  p.g = g.in_float, p.exact_g = g.in_double;
  p.share_sum({kind::written, p.r.write, {}}, {state_product::written, p.exact_r.write, {}}, streams, 0);
  p.add_sum(kind::written, streams, nothing, states, 0, size);
  p.add_sum(p.r.exclusive ? kind::read_before : kind::read, nothing, nothing, states, 0, size);
  p.add_sum(p.r.logarithmic ? kind::decayed : kind::kept, nothing, nothing, of_decay, 0, one);
  p.add_sum(kind::decayed, nothing, nothing, coin() ? tokens : axes{true, true, false, false}, 0, one);
  p.add_sum(kind::read, nothing, nothing, {true, false, false, true}, 0, one);
  p.add_sum(kind::written, nothing, nothing, {false, true, false, true}, 0, one);
}

void set(problem& p, bool logarithmic, bool exclusive) {
  p.r.logarithmic = p.exact_r.logarithmic = logarithmic;
  p.r.exclusive = p.exact_r.exclusive = exclusive;
}
std::string described(const problem& p) {
  std::string text = p.r.logarithmic ? "logarithmic" : "plain";
  if (p.r.exclusive) text += ", exclusive";
  for (const std::size_t n : {p.size.tokens, p.size.heads, p.size.channels, p.size.states})
    text += ", " + std::to_string(n);
  return text;
}
double check(problem& p, double bound) {
  const std::vector<double> errors = p.errors();
  double worst = 0;
  for (std::size_t k = 0; k < errors.size(); ++k) {
    CAPTURE(described(p));
    CAPTURE(k);
    CAPTURE(static_cast<int>(p.sums[k].of));
    CAPTURE(p.sums[k].to.size);
    CHECK(errors[k] < bound);
    worst = std::max(worst, errors[k]);
  }
  return worst;
}

const strength strengths[]{{0.001}, {0.05}, {0.3, 20}, {3}, {30, 10}, {0}, {0.01, 1}, {1000}};

sizes random_sizes() {
  return {one_of({1, 2, 15, 16, 17, 33, 70, 130}), one_of({1, 1, 2, 3}), one_of({1, 3, 16, 17, 40, 64, 150}),
          one_of({1, 2, 5, 8, 16, 17, 40})};
}

ON_EVERY_DEVICE("sums over the states of gradients are what their definition says, for streams of any axes") {
  USE_DEVICE();
  double worst = 0;
  for (std::size_t trial = 0; trial < 200; ++trial) {
    problem p(random_sizes());
    set(p, coin(), coin());
    fill_any(p, strengths[trial % std::size(strengths)], trial % 10 == 9);
    worst = std::max(worst, check(p, 1e-5));  // sums of up to 130 tokens, 150 channels and 40 states in float
  }
  MESSAGE("largest error over scale: " << worst);
}

ON_EVERY_DEVICE("gradients of selective scans are what their definition says") {
  USE_DEVICE();
  double worst = 0;
  for (std::size_t trial = 0; trial < 80; ++trial) {
    sizes s = random_sizes();
    s.heads = 1;
    problem p(s);
    set(p, trial % 4 != 0, trial % 3 == 0);
    fill_selective(p, strengths[trial % std::size(strengths)], one_of({0, 0, 1, 16}));
    worst = std::max(worst, check(p, 1e-5));
  }
  MESSAGE("largest error over scale: " << worst);
}

ON_EVERY_DEVICE("gradients of heads are what their definition says") {
  USE_DEVICE();
  double worst = 0;
  for (std::size_t trial = 0; trial < 80; ++trial) {
    sizes s = random_sizes();
    if (trial % 8 == 0) s.states = 128;
    problem p(s);
    set(p, trial % 4 != 0, trial % 3 == 0);
    fill_heads(p, strengths[trial % std::size(strengths)]);
    worst = std::max(worst, check(p, 1e-5));
  }
  MESSAGE("largest error over scale: " << worst);
}

ON_EVERY_DEVICE("a second run makes the same numbers") {
  USE_DEVICE();
  for (const std::size_t states : {3u, 16u, 40u}) {
    problem p({130, 2, 70, states});
    set(p, true, false);
    fill_any(p, {0.1, 1}, false);
    p.run();
    const std::deque<std::vector<float>> first = p.floats;
    problem other({20, 1, 16, 8});  // leaves other numbers in the memory that kernels keep
    fill_any(other, {0.1, 1}, false);
    other.run();
    p.run();
    CHECK(p.floats == first);
  }
}

ON_EVERY_DEVICE("nothing of a large state or gradient is left on the other side of a reset") {
  USE_DEVICE();
  for (const bool logarithmic : {false, true})
    for (const bool shared : {false, true})
      for (const std::size_t reset : {5u, 16u, 31u}) {
        problem p({40, 1, 20, 9});
        set(p, logarithmic, false);
        const axes channels{true, false, true, false}, of_decay{true, false, !shared, true};
        std::size_t entry = 0;
        const std::size_t each_token = shared ? 9 : 20 * 9;
        p.factors(p.r.decay, p.exact_r.decay, nothing, of_decay, 0, one, [&]() -> double {
          const bool is_reset = entry++ / each_token == reset;
          return logarithmic ? (is_reset ? -std::numeric_limits<double>::infinity() : -0.01) : (is_reset ? -1 : -0.01);
        });
        p.factors(p.r.write, p.exact_r.write, nothing, tokens, 0, one, one);
        p.factors(p.r.read, p.exact_r.read, nothing, tokens, 0, one, one);
        const auto count = [each = std::size_t{20}](std::size_t& k) { return k++ / each; };
        std::size_t of_x = 0, of_g = 0;
        const auto x = p.stream(channels, 0, [&] { return count(of_x) < reset ? 1e12 : 1.0; });
        const auto g = p.stream(channels, 0, [&] { return count(of_g) < reset ? 1.0 : 1e12; });
        p.x = x.in_float, p.exact_x = x.in_double;
        p.g = g.in_float, p.exact_g = g.in_double;
        const axes states{true, false, true, true};
        p.add_sum(kind::written, nothing, nothing, states, 0, one);
        p.share_sum({kind::read, {p.r.read.u, p.r.read.v}, {}},
                    {state_product::read, {p.exact_r.read.u, p.exact_r.read.v}, {}}, states, 0);
        p.run();
        reference::recurrences<double>::unrolled_gradient(p.exact_r, p.exact_x, p.exact_g, p.exact_sums);
        double worst = 0;
        for (std::size_t k = 0; k < 2; ++k)
          each(
              p.sums[k].to.size,
              [&](float is, double should) { worst = std::max(worst, std::abs(is - should) / std::abs(should)); },
              p.sums[k].to, p.exact_sums[k].to);
        CHECK(worst < 2e-6);
      }
}

ON_EVERY_DEVICE("no time passes where the logarithm of a decay is 0 times -infinity") {
  USE_DEVICE();
  problem p({20, 1, 17, 4}), q({20, 1, 17, 4});
  for (problem* one_of_both : {&p, &q}) {
    random_bits.seed(5);
    set(*one_of_both, true, false);
    fill_selective(*one_of_both, {0.1}, 0);
    std::fill(one_of_both->floats[0].begin(), one_of_both->floats[0].begin() + 17 * 10, 0.0f);
  }
  for (std::size_t n = 0; n < p.floats[1].size(); n += 4) p.floats[1][n] = -infinity, q.floats[1][n] = -1e30f;
  p.run(), q.run();
  for (std::size_t k = 0; k < p.sums.size(); ++k) {
    if (p.sums[k].of == kind::decayed) continue;
    each(
        p.sums[k].to.size, [](float a, float b) { CHECK(a == b); }, p.sums[k].to, q.sums[k].to);
  }
}

ON_EVERY_DEVICE("gradients of 65536 tokens stay accurate") {
  USE_DEVICE();
  double worst = 0;
  for (const double nats : {1e-6, 1e-4, 3e-3})
    for (const bool logarithmic : {false, true})
      for (const bool heads : {false, true}) {
        problem p({65536, 1, 2, 3});
        set(p, logarithmic, false);
        if (heads)
          fill_heads(p, {nats});
        else
          fill_selective(p, {nats}, 0);
        for (std::size_t k = 2; k < p.floats.size(); ++k)  // one sign: errors add up
          for (std::size_t i = 0; i < p.floats[k].size(); ++i)
            p.doubles[k][i] = static_cast<double>(p.floats[k][i] = std::abs(p.floats[k][i]));
        worst = std::max(worst, check(p, 1e-5));
      }
  MESSAGE("largest error over scale: " << worst);
}
ON_EVERY_DEVICE("gradients of constant streams of 65536 tokens stay accurate") {
  USE_DEVICE();
  for (const double nats : {1e-6, 1e-4, 3e-3})
    for (const bool logarithmic : {false, true}) {
      problem p({65536, 1, 2, 3});
      set(p, logarithmic, false);
      fill_selective(p, {nats}, 0);
      for (std::size_t k = 0; k < p.floats.size(); ++k)
        for (std::size_t i = 0; i < p.floats[k].size(); ++i) {
          const float constant = k == 1 ? static_cast<float>(-nats) : 0.7f;
          p.doubles[k][i] = static_cast<double>(p.floats[k][i] = constant);
        }
      check(p, 1e-5);
    }
}

double along(const problem& p) {
  extents all = single, states = p.size.of({false, true, true, true});
  for (const view<const double>& v : {p.exact_x, p.exact_g}) all = together(all, v.size);
  std::vector<double> h(volume(states), 0.0), y(volume(all));
  const view<double> result{y.data(), all, contiguous(all)};
  reference::recurrences<double>::unrolled(p.exact_r, p.exact_x, {h.data(), states, contiguous(states)}, result);
  double sum = 0;
  each(
      all, [&sum](double a, double g) { sum += a * g; }, result, p.exact_g);
  return sum;
}

TEST_CASE("the definition's sums are derivatives") {
  using exact = state_sum<double>;
  for (const bool logarithmic : {false, true})
    for (const bool exclusive : {false, true}) {
      problem p({7, 2, 3, 4});
      set(p, logarithmic, exclusive);
      const axes streams{true, true, true, false}, all{true, true, true, true}, states{true, true, false, true};
      p.factors(
          p.r.decay, p.exact_r.decay, streams, states, 0, [] { return uniform(0.3, 1); },
          [&] { return decay_of({0.5}, logarithmic); });
      p.factors(p.r.write, p.exact_r.write, nothing, all, 0, one, normal);
      p.factors(p.r.read, p.exact_r.read, nothing, states, 0, one, normal);
      const auto x = p.stream(streams, 0, normal), g = p.stream(streams, 0, normal);
      p.exact_x = x.in_double, p.exact_g = g.in_double;
      const view<const double> unit = p.exact_r.read.u;
      const state_product decays = logarithmic ? state_product::decayed : state_product::kept,
                          reads = exclusive ? state_product::read_before : state_product::read;
      // What is varied, and the sum that is the derivative by it.
      struct varied final {
        view<const double> by;
        exact is;
        axes to;
      };
      const varied cases[]{{p.exact_x, {state_product::written, p.exact_r.write, {}}, streams},
                           {p.exact_r.write.v, {state_product::written, {p.exact_x, unit}, {}}, all},
                           {p.exact_r.decay.u, {decays, {unit, p.exact_r.decay.v}, {}}, streams},
                           {p.exact_r.decay.v, {decays, {p.exact_r.decay.u, unit}, {}}, states},
                           {p.exact_r.read.v, {reads, {unit, unit}, {}}, states}};
      for (const varied& c : cases) p.share_sum({}, c.is, c.to, 0);
      reference::recurrences<double>::unrolled_gradient(p.exact_r, p.exact_x, p.exact_g, p.exact_sums);
      for (std::size_t k = 0; k < std::size(cases); ++k) {
        const auto owner = std::find_if(p.doubles.begin(), p.doubles.end(),
                                        [&](const std::vector<double>& d) { return d.data() == cases[k].by.data; });
        for (std::size_t i = 0; i < owner->size(); ++i) {
          constexpr double step = 1e-5;  // errors of differences are of the order of its square
          const double before = (*owner)[i];
          (*owner)[i] = before + step;
          const double up = along(p);
          (*owner)[i] = before - step;
          const double down = along(p);
          (*owner)[i] = before;
          CAPTURE(k);
          CHECK(p.exact_sums[k].to.data[i] == doctest::Approx((up - down) / (2 * step)).epsilon(1e-7));
        }
      }
    }
}

}  // namespace
}  // namespace alphaform

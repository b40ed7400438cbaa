#include <algorithm>
#include <alphaform/backends/cpu/gradient/gradient.hpp>
#include <alphaform/backends/cpu/gradient/window.hpp>
#include <alphaform/backends/reference/recurrences.hpp>
#include <deque>
#include <limits>
#include <vector>

namespace alphaform::cpu {
namespace {

using in = view<const float>;
using out = view<float>;
using sum = state_sum<float>;
constexpr axis time = axis::token;
/// What one window goes over; all other axes are loops around it.
constexpr bool within_window(axis a) { return a == time || a == axis::chan || a == axis::state; }

/// A part of an operand that the window is cut out of.
struct problem final {
  recurrence<float> r;
  in x, g;
  std::vector<sum> sums;
  std::vector<bool> is_first;  ///< of each sum, as results start with what is first
};

factored<float> entry(const factored<float>& f, axis a, std::size_t k) {
  return {f.u.slice(a, k, k + 1), f.v.slice(a, k, k + 1)};
}
problem entry(const problem& p, axis a, std::size_t k) {
  problem one{p.r, p.x.slice(a, k, k + 1), p.g.slice(a, k, k + 1), p.sums, p.is_first};
  one.r.decay = entry(p.r.decay, a, k);
  one.r.write = entry(p.r.write, a, k);
  one.r.read = entry(p.r.read, a, k);
  for (std::size_t i = 0; i < one.sums.size(); ++i) {
    sum& s = one.sums[i];
    if (s.to.of(a) == 1 && k > 0) one.is_first[i] = false;
    s.weight = entry(s.weight, a, k);
    s.to = s.to.slice(a, k, k + 1);
  }
  return one;
}

/// Where an operand of a window is. The lanes of vectors are channels, or states where there is one channel.
struct layout final {
  axis lane, state;

  template <class T>
  static std::ptrdiff_t step(const view<T>& v, axis a) {
    return v.of(a) == 1 ? 0 : static_cast<std::ptrdiff_t>(v.step(a));
  }
  strided of(const in& v) const { return {v.data, step(v, time), step(v, lane), step(v, state)}; }
  strided_factors of(const factored<float>& f) const { return {of(f.u), of(f.v)}; }
  window_sum of(const sum& s, bool is_first) const {
    return {s.of, is_first, of(s.weight), s.to.data, step(s.to, time), step(s.to, lane), step(s.to, state)};
  }
};

void add_window(const extents& size, const problem& p) {
  const bool one_channel = at(size, axis::chan) == 1;
  const layout in_window{one_channel ? axis::state : axis::chan, one_channel ? axis::chan : axis::state};
  std::vector<window_sum> sums;
  for (std::size_t k = 0; k < p.sums.size(); ++k) sums.push_back(in_window.of(p.sums[k], p.is_first[k]));
  add_sums({.tokens = at(size, time),
            .channels = at(size, in_window.lane),
            .states = at(size, in_window.state),
            .logarithmic = p.r.logarithmic,
            .exclusive = p.r.exclusive,
            .decay = in_window.of(p.r.decay),
            .write = in_window.of(p.r.write),
            .read = in_window.of(p.r.read),
            .x = in_window.of(p.x),
            .g = in_window.of(p.g),
            .sums = sums});
}

/// Windows for every index of the axes from number k on that are not within one.
void add_each(std::size_t k, const extents& size, const problem& p) {
  for (; k < axis_count; ++k) {
    const axis a = every_axis[k];
    if (within_window(a) || at(size, a) == 1) continue;
    for (std::size_t i = 0; i < at(size, a); ++i) add_each(k + 1, size, entry(p, a, i));
    return;
  }
  add_window(size, p);
}

/// The definition in double.
class in_double final {
 public:
  void run(const recurrence<float>& r, in x, in g, std::span<const sum> sums) {
    std::vector<state_sum<double>> wide;
    for (const sum& s : sums) wide.push_back({s.of, factors(s.weight), zeros(s.to.size)});
    reference::recurrences<double>::unrolled_gradient(
        {factors(r.decay), factors(r.write), factors(r.read), r.logarithmic, r.exclusive}, numbers(x), numbers(g),
        wide);
    for (std::size_t k = 0; k < sums.size(); ++k)
      reference::each(
          sums[k].to.size, [](double from, float& to) { to = static_cast<float>(from); }, wide[k].to, sums[k].to);
  }

 private:
  view<double> zeros(const extents& size) {
    return {kept_.emplace_back(volume(size), 0.0).data(), size, contiguous(size)};
  }
  /// Finite, so that 0 times it is 0.
  view<const double> numbers(const in& v) {
    const view<double> all = zeros(v.size);
    reference::each(
        v.size,
        [](float from, double& to) {
          to = std::clamp(from, std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
        },
        v, all);
    return all;
  }
  factored<double> factors(const factored<float>& f) { return {numbers(f.u), numbers(f.v)}; }

  std::deque<std::vector<double>> kept_;
};

/// Are x, g and all u's the same for a whole state?
bool is_regular(const recurrence<float>& r, in x, in g, std::span<const sum> sums) {
  for (const in& v : {r.decay.u, r.write.u, r.read.u, x, g})
    if (v.of(axis::state) > 1) return false;
  return std::all_of(sums.begin(), sums.end(), [](const sum& s) { return s.weight.u.of(axis::state) == 1; });
}

}  // namespace

void unrolled_gradient(const recurrence<float>& r, in x, in g, std::span<const sum> sums) {
  if (!is_regular(r, x, g, sums)) return in_double().run(r, x, g, sums);
  add_each(0, reference::recurrences<float>::state_extents(r, x, g),
           {r, x, g, {sums.begin(), sums.end()}, std::vector<bool>(sums.size(), true)});
}

}  // namespace alphaform::cpu

#include <alphaform/backends/cpu/states/states.hpp>
#include <alphaform/backends/cpu/states/window.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <cmath>
#include <vector>

namespace alphaform::cpu {
namespace {

using in = view<const float>;
using out = view<float>;
constexpr axis time = axis::token;
/// What one scan goes over; all other axes are loops around it.
constexpr bool within_scan(axis a) { return a == time || a == axis::chan || a == axis::state; }

std::ptrdiff_t signed_step(const extents& stride, axis a) { return static_cast<std::ptrdiff_t>(at(stride, a)); }

/// An operand from its first token on in the scan's direction.
strided along(const in& v, bool backward) {
  strided s{v.data, signed_step(v.stride, time), signed_step(v.stride, axis::chan), signed_step(v.stride, axis::state)};
  if (backward) {
    s.data += static_cast<std::ptrdiff_t>(v.of(time) - 1) * s.token;
    s.token = -s.token;
  }
  return s;
}
strided_factors along(const factored<float>& f, bool backward) { return {along(f.u, backward), along(f.v, backward)}; }

factored<float> entry(const factored<float>& f, axis a, std::size_t k) {
  return {f.u.slice(a, k, k + 1), f.v.slice(a, k, k + 1)};
}

std::vector<view<const float>>& expected() {
  thread_local std::vector<view<const float>> streams;
  return streams;
}
/// Those that a scan can fetch row beside row.
std::array<strided, 4> streams_beside(const out& y, bool backward) {
  std::array<strided, 4> soon{};
  std::size_t k = 0;
  for (const in& v : expected()) {
    const bool fits = v.of(axis::chan) == y.of(axis::chan) && volume(v.size) == v.of(axis::chan) * v.of(time);
    if (fits && k < soon.size()) soon[k++] = along(v, backward);
  }
  expected().clear();
  return soon;
}

/// Scans for every index of the axes from number k on that are not within one.
void scan_each(std::size_t k, bool adjoint, recurrence<float> r, in x, out h, out y) {
  for (; k < axis_count; ++k) {
    const axis a = every_axis[k];
    if (within_scan(a) || h.of(a) == 1) continue;
    for (std::size_t i = 0; i < h.of(a); ++i) {
      recurrence<float> one = r;
      one.decay = entry(r.decay, a, i);
      one.write = entry(r.write, a, i);
      one.read = entry(r.read, a, i);
      scan_each(k + 1, adjoint, one, x.slice(a, i, i + 1), h.slice(a, i, i + 1), y.slice(a, i, i + 1));
    }
    return;
  }
  const strided result = along(y, adjoint);
  states_window w{.tokens = y.of(time),
                  .channels = h.of(axis::chan),
                  .states = h.of(axis::state),
                  .logarithmic = r.logarithmic,
                  .decay_lag = adjoint || r.exclusive,
                  .write_lag = r.exclusive,
                  .decay = along(r.decay, adjoint),
                  .write = along(adjoint ? r.read : r.write, adjoint),
                  .read = along(adjoint ? r.write : r.read, adjoint),
                  .x = along(x, adjoint),
                  .h = h.data,
                  .h_chan = signed_step(h.stride, axis::chan),
                  .h_state = signed_step(h.stride, axis::state),
                  .y = y.data + (result.data - y.data),
                  .y_token = result.token,
                  .y_chan = result.chan,
                  .soon = streams_beside(y, adjoint)};
  scan(w);
}

/// The definition, one entry after the other and in double.
void scan_plainly(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  std::vector<double> states(volume(h.size)), results(volume(reference::one_token(y.size)));
  const view<double> state{states.data(), h.size, contiguous(h.size)},
      result{results.data(), reference::one_token(y.size), contiguous(reference::one_token(y.size))};
  reference::each(
      h.size, [](float from, double& to) { to = from; }, h, state);
  const auto token = [](const auto& v, std::size_t t) { return v.slice(time, t, t + 1); };
  const factored<float>&write = adjoint ? r.read : r.write, &read = adjoint ? r.write : r.read;
  for (std::size_t i = 0; i < y.of(time); ++i) {
    const std::size_t t = adjoint ? y.of(time) - 1 - i : i;
    const auto decayed = [&] {
      reference::each(
          h.size,
          [&r](double u, double v, double& s) {
            const double change = u * v;
            s *= r.logarithmic ? std::exp(std::isnan(change) ? 0 : change) : 1 + change;
          },
          token(r.decay.u, t), token(r.decay.v, t), state);
    };
    const auto written = [&] {
      reference::each(
          h.size, [](double u, double v, double value, double& s) { s += u * v * value; }, token(write.u, t),
          token(write.v, t), token(x, t), state);
    };
    const auto read_out = [&] {
      results.assign(results.size(), 0);
      reference::each(
          h.size, [](double u, double v, double s, double& sum) { sum += u * v * s; }, token(read.u, t),
          token(read.v, t), state, result);
      reference::each(
          result.size, [](double from, float& to) { to = static_cast<float>(from); }, result, token(y, t));
    };
    if (r.exclusive) read_out();
    if (!adjoint || r.exclusive) decayed();
    written();
    if (!r.exclusive) read_out();
    if (adjoint && !r.exclusive) decayed();
  }
  reference::each(
      h.size, [](double from, float& to) { to = static_cast<float>(from); }, state, h);
}

/// Are u's, x and y the same for a whole state, and y one number for every other entry of h?
bool is_regular(const recurrence<float>& r, in x, out h, out y) {
  for (const axis a : every_axis)
    if (a != time && a != axis::state && y.of(a) != h.of(a)) return false;
  for (const in& v : {r.decay.u, r.write.u, r.read.u, x, in(y)})
    if (v.of(axis::state) > 1) return false;
  return true;
}

void scan_any(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  if (is_regular(r, x, h, y))
    scan_each(0, adjoint, r, x, h, y);
  else
    scan_plainly(adjoint, r, x, h, y);
}

}  // namespace

void expect(std::span<const in> soon) { expected().assign(soon.begin(), soon.end()); }

void unrolled_channels(const recurrence<float>& r, in x, out h, out y) { scan_any(false, r, x, h, y); }
void unrolled_channels_adjoint(const recurrence<float>& r, in g, out h, out y) { scan_any(true, r, g, h, y); }

}  // namespace alphaform::cpu

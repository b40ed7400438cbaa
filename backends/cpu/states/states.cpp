#include <alphaform/backends/cpu/states/states.hpp>
#include <alphaform/backends/cpu/states/streams.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <cmath>
#include <vector>

namespace alphaform::cpu {
namespace {

using in = view<const float>;
using out = view<float>;
constexpr axis time = axis::token;

strided_factors along(const factored<float>& f, bool backward) {
  return {cpu::along(f.u, backward), cpu::along(f.v, backward)};
}

factored<float> entry(const factored<float>& f, axis a, std::size_t k) {
  return {f.u.slice(a, k, k + 1), f.v.slice(a, k, k + 1)};
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
  const strided result = cpu::along(y, adjoint);
  states_window w{.tokens = y.of(time),
                  .channels = h.of(axis::chan),
                  .states = h.of(axis::state),
                  .logarithmic = r.logarithmic,
                  .decay_lag = adjoint || r.exclusive,
                  .write_lag = r.exclusive,
                  .decay = along(r.decay, adjoint),
                  .write = along(adjoint ? r.read : r.write, adjoint),
                  .read = along(adjoint ? r.write : r.read, adjoint),
                  .x = cpu::along(x, adjoint),
                  .h = h.data,
                  .h_chan = static_cast<std::ptrdiff_t>(at(h.stride, axis::chan)),
                  .h_state = static_cast<std::ptrdiff_t>(at(h.stride, axis::state)),
                  .y = y.data + (result.data - y.data),
                  .y_token = result.token,
                  .y_chan = result.chan,
                  .soon = streams_beside(y, adjoint)};
  w.here = {w.decay.u, w.x, w.read.u, result};
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

void unrolled_channels(const recurrence<float>& r, in x, out h, out y) { scan_any(false, r, x, h, y); }
void unrolled_channels_adjoint(const recurrence<float>& r, in g, out h, out y) { scan_any(true, r, g, h, y); }

}  // namespace alphaform::cpu

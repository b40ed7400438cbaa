// A map over channels. That of S6 is made directly (direct.cuh); of others, what lies on the diagonal by recurrences,
// the rest by products of panels, of as many channels at a time as a scratch of 40 MiB holds. Every entry is summed in
// the same order whenever it is asked for.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/maps/direct.cuh>
#include <alphaform/backends/cuda/maps/lines.cuh>

namespace alphaform::cuda {
namespace maps {
namespace {

std::size_t longest(const in& x, axis a) { return x.data == nullptr ? 1 : x.of(a); }
stream stream_of(const in& x) {
  const auto step = [&x](axis a) { return static_cast<std::int64_t>(x.step(a)); };
  return {x.data, step(axis::token), step(axis::chan), step(axis::state)};
}

}  // namespace

channels::channels(const channel_matrices<float>& m, over_channels o, std::size_t all_tokens)
    : decay(stream_of(m.core.decay.u)),
      decay_state(stream_of(m.core.decay.v)),
      write(stream_of(m.core.write.u)),
      write_state(stream_of(m.core.write.v)),
      read(stream_of(m.core.read.u)),
      read_state(stream_of(m.core.read.v)),
      skip(stream_of(m.skip)),
      last_tap(nullptr),
      tap_channel(static_cast<std::int64_t>(m.taps.step(axis::chan))),
      tap_step(static_cast<std::int64_t>(m.taps.step(axis::tap))),
      weights(m.weight.data),
      weight_step(static_cast<std::int64_t>(m.weight.step(axis::chan))),
      over(o),
      tokens(static_cast<unsigned>(all_tokens)),
      reach(0),
      filtered(m.taps.data != nullptr),
      logarithmic(m.core.logarithmic),
      exclusive(m.core.exclusive) {
  std::size_t channels = std::max({longest(m.skip, axis::chan), longest(m.taps, axis::chan), m.weight.of(axis::chan)});
  std::size_t most_states = 1;
  for (const factored<float>* f : {&m.core.decay, &m.core.write, &m.core.read}) {
    channels = std::max({channels, f->u.of(axis::chan), f->v.of(axis::chan)});
    most_states = std::max(most_states, f->v.of(axis::state));
  }
  count = static_cast<unsigned>(channels);
  states = static_cast<unsigned>(most_states);
  const auto by_channel = [](const factored<float>& f) { return std::max(f.u.of(axis::chan), f.v.of(axis::chan)) > 1; };
  apart = by_channel(m.core.read) && by_channel(m.core.write);
  signless = states == 1 && over == over_channels::absolute;
  if (!filtered) return;
  const std::size_t taps = m.taps.of(axis::tap);
  last_tap = m.taps.data + (taps - 1) * m.taps.step(axis::tap);
  reach = static_cast<unsigned>(std::min(taps, all_tokens) - 1);
}

namespace {

/// Panels of some channels after the other, each time into the same scratch.
void add_products(const channels& m, const square& map) {
  constexpr std::size_t budget = (40u << 20) / sizeof(float);
  const std::size_t chunks = (m.tokens + 2 * chunk - 1) / (2 * chunk) * 2, each_line = panel_floats_each_line(chunks);
  const auto most = std::max<std::size_t>(1, budget / (each_line * m.states));
  const std::size_t passes = (m.count + most - 1) / most, channels = (m.count + passes - 1) / passes;
  const std::size_t lines = channels * m.states;
  const scratch<float> numbers(lines * each_line);
  for (std::size_t c = 0; c < m.count; c += channels) {
    panels p{};
    p.channel = static_cast<unsigned>(c);
    p.lines = static_cast<unsigned>(std::min(channels, m.count - c) * m.states);
    p.chunks = static_cast<unsigned>(chunks);
    p.rows = numbers.data();
    p.columns = p.rows + chunks * lines * chunk;
    p.change = p.columns + chunks * lines * chunk;
    p.value = p.change + chunks * lines;
    p.between = p.value + chunks * lines;
    make(m, p);
    add_tiles(m, p, map);
  }
}

}  // namespace
}  // namespace maps

void channel_map(const channel_matrices<float>& matrices, over_channels over, out map) {
  const maps::channels m(matrices, over, map.of(axis::token));
  const maps::square to{map.data, static_cast<std::int64_t>(map.step(axis::token)),
                        static_cast<std::int64_t>(map.step(axis::column))};
  if (maps::fits_direct(matrices, m)) return maps::add_directly(m, to);
  maps::add_diagonal(m, to);
  if (!maps::all_on_diagonal(m)) maps::add_products(m, to);
}

}  // namespace alphaform::cuda

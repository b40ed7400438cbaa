#include <algorithm>
#include <alphaform/backends/cpu/maps/triangle.hpp>
#include <bit>

namespace alphaform::cpu::maps {

namespace {

std::size_t longest(const view<const float>& x, axis a) { return x.data == nullptr ? 1 : x.of(a); }

}  // namespace

channels::channels(const channel_matrices<float>& m, over_channels o, std::size_t t) : of(m), over(o), tokens(t) {
  const recurrence<float>& core = m.core;
  count = std::max(longest(m.skip, axis::chan), std::max(longest(m.taps, axis::chan), longest(m.weight, axis::chan)));
  states = 1;
  for (const factored<float>* f : {&core.decay, &core.write, &core.read}) {
    count = std::max(count, std::max(f->u.of(axis::chan), f->v.of(axis::chan)));
    states = std::max(states, f->v.of(axis::state));
  }
  taps = m.taps.data == nullptr ? 1 : std::min(m.taps.of(axis::tap), tokens);
  sums_by_state = core.decay.v.of(axis::state) > 1 && (!core.logarithmic || core.decay.v.of(axis::token) > 1);
  magnitudes = states == 1 && over == over_channels::absolute;
  lay_out(of.core.decay.v, decays_);
  lay_out(of.core.write.v, writes_);
  lay_out(of.core.read.v, reads_);
  if (m.taps.data != nullptr) lay_out(of.taps, taps_);
}

void channels::lay_out(view<const float>& x, std::vector<float>& kept) const {
  if (x.of(axis::token) > 1 || x.of(axis::chan) == 1 || x.step(axis::chan) == 1) return;
  const axis other = x.of(axis::tap) > 1 ? axis::tap : axis::state;
  const std::size_t rows = x.of(axis::chan), columns = x.of(other);
  kept.resize(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) kept[j * rows + i] = x.data[i * x.step(axis::chan) + j * x.step(other)];
  x.data = kept.data();
  at(x.stride, axis::chan) = 1;
  at(x.stride, other) = columns == 1 ? 0 : rows;
}

std::size_t square_tokens(std::size_t tokens) {
  return std::clamp<std::size_t>(std::bit_floor(tokens / 4), leaf_tokens, 256);
}

std::vector<square> squares(std::size_t tokens, std::size_t reach) {
  const std::size_t side = square_tokens(tokens);
  std::vector<square> all;
  for (std::size_t half = std::bit_floor(tokens - 1); half >= side; half /= 2) {
    const std::size_t columns = std::min(half, 2 * side), tall = std::min(half, tokens < 16 * side ? side : 2 * side);
    for (std::size_t low = 0; low + half < tokens; low += 2 * half)
      for (std::size_t row = low + half; row < std::min(tokens, low + 2 * half); row += tall)
        for (std::size_t column = low; column < low + half; column += columns) {
          if (column + columns <= reach) continue;  // before the first token
          const std::size_t rows = std::min(tall, tokens - row);
          all.push_back({row, rows, column, columns, {{low + half, row, rows, column, columns}}});
        }
  }
  for (std::size_t first = 0; first < tokens; first += side) {
    square q{first, std::min(side, tokens - first), first, side, {}};
    for (std::size_t half = side / 2; half >= leaf_tokens; half /= 2)
      for (std::size_t low = first; low + half < std::min(tokens, first + side); low += 2 * half)
        if (low + half > reach)
          q.nodes.push_back({low + half, low + half, std::min(half, tokens - low - half), low, half});
    if (!q.nodes.empty()) all.push_back(q);
  }
  return all;
}

std::size_t slab_channels(const channels& m) {
  constexpr std::size_t depth = 256;  // what stays in the cache
  return std::max<std::size_t>(1, depth / m.states);
}
slab slab_at(const channels& m, std::size_t index) {
  constexpr std::size_t step = 32;  // what a matrix unit takes at a time
  const std::size_t each = slab_channels(m), first = index * each;
  const std::size_t count = std::min(each, m.count - first),
                    padded = each % unit_words == 0 ? (count + unit_words - 1) / unit_words * unit_words : count;
  return {first, count, (padded * m.states + step - 1) / step * step};
}
std::size_t slab_count(const channels& m) {
  const std::size_t each = slab_channels(m);
  return (m.count + each - 1) / each;
}

}  // namespace alphaform::cpu::maps

// The operands of a map's products: what a channel's states read on the rows, times their decay since the node's
// middle; what they write on the columns, filtered, times the decay until there.
#pragma once
#include <alphaform/backends/cpu/maps/triangle.hpp>
#include <alphaform/backends/cpu/memory.hpp>
#include <cstdint>

namespace alphaform::cpu::maps {

/// Sums of logarithmic decays over the tokens of each square side: [side][state][channel].
struct decay_totals final {
  std::size_t side;
  std::vector<float> sums;
};
decay_totals total_decays(const channels&);

/// One channel or state a line, tokens along it.
struct lines final {
  std::size_t length = 0;
  working_memory at;
  void resize(std::size_t count, std::size_t tokens);
};
/// What a thread keeps between the slabs of a square.
struct panel_scratch final {
  panel_scratch(const channels&, const square&);
  lines strip, row_factor, row_sum, row_vector, column_factor, column_sum, column_vector;
  working_memory numbers, filtered, of_lanes;
};

/// Where the panels of one node lie: tokens in groups of 32, [group][depth][32].
struct node_panels final {
  float *rows, *columns;
};
/// How halves lie in a panel for a matrix unit: numbers as two of 8 bits each, words of two depths. [group][depth / 32]
/// has tiles of the upper halves of 16 tokens, of those of the next 16, and of the lower halves of both. Each is
/// [(depth % 32) / 2][token]; the unit reads rows with tokens first.
enum class layout : std::uint8_t { by_depth, by_token };
constexpr std::size_t halves_tile = 16 * 16;
inline float* halves_at(float* group, std::size_t depth, std::size_t token) {
  return group + depth / 32 * 4 * halves_tile + token / 16 * halves_tile + depth % 32 / 2 * 16 + token % 16;
}
node_panels panels_of(const square&, std::size_t node, std::size_t pitch, float* all);
std::size_t panel_floats(const square&, std::size_t pitch);

/// Each state of all channels before the next one, instead of each channel's states.
bool states_one_by_one(const channels&);
/// Of two depths that halves share words, the first is there before the second.
bool pairs_in_order(const channels&);
/// Of halves, whether rows come with tokens first: channels side by side are the words of a tile's row then, and two
/// states of theirs its halves.
layout rows_of_halves(const channels&);
/// @param halves  for a matrix unit
void fill_panels(const channels&, const decay_totals&, const square&, const slab&, panel_scratch&, float* panels,
                 bool halves);

}  // namespace alphaform::cpu::maps

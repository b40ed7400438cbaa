// The part of a map along its diagonal, 32 rows at a time, with channels as lanes: every row's reads are carried back
// through the decays from token to token.
#pragma once
#include <alphaform/backends/cpu/maps/panels.hpp>

namespace alphaform::cpu::maps {

constexpr std::size_t most_leaf_states = 8;  ///< that are worked on together with any instructions

struct leaf_scratch final {
  explicit leaf_scratch(const channels&);
  working_memory decay, write, read, block_decay, block_write, decay_factor, write_factor, read_factor, core, taken;
};

/// Rows [low, low + 32) of the map, columns from low - reach on to the diagonal.
void leaf(const channels&, std::size_t low, leaf_scratch&, view<float> map);

}  // namespace alphaform::cpu::maps

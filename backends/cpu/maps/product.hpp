// The product of two panels, over a tile of the map that stays in the cache.
#pragma once
#include <alphaform/backends/cpu/maps/panels.hpp>

namespace alphaform::cpu::maps {

/// tile[row, column] gets what is taken over the channels of a slab; `stride` elements from row to row.
struct panel_product final {
  node_panels of;
  std::size_t row_groups, column_groups;  ///< of 32 tokens
  slab over;
  float* tile;
  std::size_t stride;
  layout rows = layout::by_depth;  ///< of halves
};

void sum_products(const panel_product&);
/// By each channel's own product: of magnitudes, of positive parts, or their maximum.
void combine_products(const channels&, const panel_product&);

}  // namespace alphaform::cpu::maps

// A map by squares and leaves that have no entry in common; each goes through all channels in the same order, so that
// threads may take them as they come.
#include <Eigen/Core>
#include <algorithm>
#include <alphaform/backends/cpu/maps/leaf.hpp>
#include <alphaform/backends/cpu/maps/maps.hpp>
#include <alphaform/backends/cpu/maps/product.hpp>
#include <alphaform/backends/cpu/products/amx.hpp>
#include <alphaform/backends/parallel.hpp>
#include <limits>

namespace alphaform::cpu {
namespace {

using namespace maps;

void add_square(const channels& m, const decay_totals& totals, const square& q, view<float> map) {
  const std::size_t stride = panel_lines(q.columns) * leaf_tokens + 16, height = panel_lines(q.rows) * leaf_tokens;
  const bool sum = m.over == over_channels::sum || m.magnitudes, maximum = m.over == over_channels::maximum;
  const bool matrix_unit = sum && amx::usable() && pairs_in_order(m);
  panel_scratch scratch(m, q);
  const working_memory panels = allocate_working(panel_floats(q, slab_at(m, 0).pitch())),
                       tile = allocate_working(height * stride);
  std::fill_n(tile.get(), height * stride, maximum ? -std::numeric_limits<float>::infinity() : 0.0f);
  for (std::size_t k = 0; k < slab_count(m); ++k) {
    const slab s = slab_at(m, k);
    fill_panels(m, totals, q, s, scratch, panels.get(), matrix_unit);
    for (std::size_t i = 0; i < q.nodes.size(); ++i) {
      const node& n = q.nodes[i];
      const panel_product p{panels_of(q, i, s.pitch(), panels.get()),
                            panel_lines(n.rows),
                            panel_lines(n.columns),
                            s,
                            tile.get() + (n.row - q.row) * stride + n.column - q.column,
                            stride,
                            matrix_unit ? rows_of_halves(m) : layout::by_depth};
      if (matrix_unit)
        amx::sum_products(p);
      else if (sum)
        sum_products(p);
      else
        combine_products(m, p);
    }
  }
  for (const node& n : q.nodes) {
    const std::size_t first = std::max(n.column, m.reach()), columns = n.column + n.columns - first;
    for (std::size_t t = n.row; t < n.row + n.rows; ++t) {
      using entries = Eigen::Array<float, 1, Eigen::Dynamic>;
      const auto count = static_cast<Eigen::Index>(columns);
      Eigen::Map<entries> to(map.data + t * map.step(axis::token) + first - m.reach(), count);
      const Eigen::Map<const entries> taken(tile.get() + (t - q.row) * stride + first - q.column, count);
      if (maximum)
        to = to.max(taken);
      else
        to += taken;
    }
  }
}

}  // namespace

void channel_map(const channel_matrices<float>& matrices, over_channels over, view<float> map) {
  const maps::channels m(matrices, over, map.of(axis::token));
  const std::vector<square> all = squares(m.tokens, m.reach());
  const decay_totals totals = total_decays(m);
  parallel(all.size() + panel_lines(m.tokens), [&](std::size_t i) {
    const entered<float> flush(cpu_kernels());
    if (i < all.size()) return add_square(m, totals, all[i], map);
    leaf_scratch scratch(m);
    leaf(m, (i - all.size()) * leaf_tokens, scratch, map);
  });
}

void allow_amx(bool allowed) { amx::allow(allowed); }

}  // namespace alphaform::cpu

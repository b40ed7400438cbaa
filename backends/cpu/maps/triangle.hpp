// How the causal triangle is cut up. A node has the rows from `middle` on and the columns before it, so that every
// decay between a row and a column is a product of one from the column to `middle` and one from there to the row. Nodes
// of half the size lie on both sides of it, down to leaves of 32 tokens.
#pragma once
#include <alphaform/backends/kernels.hpp>
#include <span>
#include <vector>

namespace alphaform::cpu::maps {

constexpr std::size_t leaf_tokens = 32;  ///< also the width of a panel
constexpr std::size_t unit_words = 16;   ///< in a row of a matrix unit's tile

/// Everything that is the same for the whole map.
struct channels final {
  channels(const channel_matrices<float>&, over_channels, std::size_t tokens);
  channels(const channels&) = delete;
  channels& operator=(const channels&) = delete;

  channel_matrices<float> of;
  over_channels over;
  std::size_t tokens, count, states;
  std::size_t taps;  ///< of the filter; 1 if there is none
  /// Every state has decays of its own that are no multiples of one stream's, so that they are summed one by one.
  bool sums_by_state;
  /// One state only: the magnitude of a product is that of the factors.
  bool magnitudes;
  std::size_t sums() const { return sums_by_state ? states : 1; }
  /// Entry [t, s] has the filter's taps at s..s+taps-1, so that columns are moved by what reaches across a boundary.
  std::size_t reach() const { return taps - 1; }

 private:
  /// The same numbers with channels side by side.
  void lay_out(view<const float>&, std::vector<float>& kept) const;
  std::vector<float> decays_, writes_, reads_, taps_;
};

/// Rows [row, row + rows) of the map and columns [column - reach, column + columns - reach), some of them before 0.
struct node final {
  std::size_t middle, row, rows, column, columns;
};

/// Nodes within one rectangle of the map, worked on together: from `row` and `column - reach` on.
struct square final {
  std::size_t row, rows, column, columns;
  std::vector<node> nodes;
};

/// The side of squares: small ones keep more threads busy, large ones need fewer exponentials.
std::size_t square_tokens(std::size_t tokens);
/// All squares, the most laborious first. Far from the diagonal they are two sides wide, and of many tokens as tall.
std::vector<square> squares(std::size_t tokens, std::size_t reach);

/// A number of channels whose states make up the inner dimension of a product.
struct slab final {
  std::size_t channel, channels, depth;
  /// Depths from one group of tokens to the next: groups a power of two apart would lie in the same sets of the cache.
  std::size_t pitch() const { return depth + 1; }
};
/// Channels of a slab, of which the last may have fewer; where they fill rows of a matrix unit's tiles, depths are
/// those of whole rows.
std::size_t slab_channels(const channels&);
slab slab_at(const channels&, std::size_t index);
std::size_t slab_count(const channels&);
constexpr std::size_t panel_lines(std::size_t tokens) { return (tokens + leaf_tokens - 1) / leaf_tokens; }

}  // namespace alphaform::cpu::maps

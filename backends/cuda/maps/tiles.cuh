// Where tiles of the map lie, how a block reads its panels, and where its entries go.
#pragma once
#include <alphaform/backends/cuda/maps/lines.cuh>

namespace alphaform::cuda::maps {

/// What a launch of tiles works on.
struct tiling final {
  channels m;
  panels p;
  square map;
  unsigned tiles, channels_each;  ///< channels of one block
  float* parts;                   ///< [split][tile][entry]; null where a block has all channels and adds to the map
};

/// The chunks that a tile's rows and columns begin with.
struct place final {
  unsigned row, column;
};
template <unsigned Tile>
__device__ inline place place_of(unsigned tile) {
  if (Tile == chunk) return {2 * tile + 1, 2 * tile};
  // Tiles are counted row by row: row r > 0 has the numbers from r (r - 1) / 2 on.
  auto r = static_cast<unsigned>((1.0f + sqrtf(1.0f + 8.0f * static_cast<float>(tile))) / 2.0f);
  while (r * (r - 1) / 2 > tile) --r;
  while (r * (r + 1) / 2 <= tile) ++r;
  return {2 * r, 2 * (tile - r * (r - 1) / 2)};
}

/// Four tokens of a panel's line times the decays between them and the tile's first row.
struct four_tokens final {
  const float *line, *scale;  ///< of line 0
  __device__ float4 operator()(unsigned i, bool present) const {
    if (!present) return make_float4(0, 0, 0, 0);
    const float4 x = __ldg(reinterpret_cast<const float4*>(line + static_cast<std::size_t>(i) * chunk));
    if (scale == nullptr) return x;
    const float s = __ldg(scale + i);
    return make_float4(s * x.x, s * x.y, s * x.z, s * x.w);
  }
};
__device__ inline four_tokens rows_at(const panels& p, place tile, unsigned token) {
  const std::size_t lines = p.lines, far = token / chunk;
  return {p.rows + (tile.row + far) * lines * chunk + token % chunk, far == 0 ? nullptr : p.value + tile.row * lines};
}
__device__ inline four_tokens columns_at(const panels& p, place tile, unsigned token) {
  const std::size_t lines = p.lines, j = tile.column + token / chunk, half = tile.row / 2;
  return {p.columns + j * lines * chunk + token % chunk,
          j + 1 == tile.row ? nullptr : p.between + (half * (half - 1) + j) * lines};
}

/// Entry [row, column] of a tile to the map.
__device__ inline void put(const tiling& t, place tile, unsigned row, unsigned column, float x) {
  const unsigned to = tile.row * chunk + row, s = tile.column * chunk + column;
  if (to >= t.m.tokens || s < t.m.reach) return;
  float& entry = t.map(to, s - t.m.reach);
  entry = together(t.m.over, entry, x);
}
__device__ inline float* part_of(const tiling& t, unsigned entries) {
  return t.parts + (static_cast<std::size_t>(blockIdx.y) * t.tiles + blockIdx.x) * entries;
}

/// Tiles of 128 that are sums, by tensor cores.
void multiply_on_tensor_cores(const tiling&, unsigned splits);
/// Errors of 16-bit factors are averaged over many lines that differ.
inline bool fit_for_tensor_cores(const channels& m, const panels& p) { return m.apart && p.lines >= 1024; }

}  // namespace alphaform::cuda::maps

// Products of panels into tiles of the map: squares of 128 below the diagonal, and one of 64 on it beside two
// triangles. A thread sums 8 x 8 entries over the lines; where signs do not sum, what is taken over channels stays in
// registers beside them. Several blocks share the lines of a tile where the card has more room than there are tiles.
#include <alphaform/backends/cuda/maps/tiles.cuh>

namespace alphaform::cuda::maps {
namespace {

constexpr unsigned depth = 8;  // lines that are in the shared memory at once

template <unsigned Tile>
struct stage final {
  float rows[depth][Tile], columns[depth][Tile];
};

/// 8 x 8 entries in four squares of 4 x 4, half a tile apart, so that threads side by side read side by side.
struct entries final {
  float at[8][8];
  __device__ void fill(float x) {
#pragma unroll
    for (auto& row : at)
#pragma unroll
      for (float& entry : row) entry = x;
  }
  template <unsigned Tile>
  __device__ void add(const float (&rows)[Tile], const float (&columns)[Tile], unsigned row, unsigned column) {
    float r[8], c[8];
#pragma unroll
    for (unsigned k = 0; k < 2; ++k) {
      *reinterpret_cast<float4*>(r + 4 * k) = *reinterpret_cast<const float4*>(rows + row + k * (Tile / 2));
      *reinterpret_cast<float4*>(c + 4 * k) = *reinterpret_cast<const float4*>(columns + column + k * (Tile / 2));
    }
#pragma unroll
    for (unsigned i = 0; i < 8; ++i)
#pragma unroll
      for (unsigned k = 0; k < 8; ++k) at[i][k] = fmaf(r[i], c[k], at[i][k]);
  }
  template <over_channels Over>
  __device__ void take(float weight, const entries& x) {
#pragma unroll
    for (unsigned i = 0; i < 8; ++i)
#pragma unroll
      for (unsigned k = 0; k < 8; ++k) at[i][k] = taken(Over, weight, x.at[i][k], at[i][k]);
  }
};
__device__ constexpr unsigned along(unsigned k, unsigned first, unsigned tile) {
  return first + k % 4 + k / 4 * (tile / 2);
}

template <unsigned Tile>
__device__ void put_all(const tiling& t, place tile, unsigned row, unsigned column, const entries& x) {
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned to = along(i, row, Tile);
    if (t.parts == nullptr) {
#pragma unroll
      for (unsigned k = 0; k < 8; ++k) put(t, tile, to, along(k, column, Tile), x.at[i][k]);
    } else {
#pragma unroll
      for (unsigned k = 0; k < 8; k += 4)
        *reinterpret_cast<float4*>(part_of(t, Tile * Tile) + to * Tile + along(k, column, Tile)) =
            make_float4(x.at[i][k], x.at[i][k + 1], x.at[i][k + 2], x.at[i][k + 3]);
    }
  }
}

/// Sums: lines need not be told apart. Otherwise what a channel's lines sum to is taken at its last line.
constexpr unsigned blocks_together(unsigned tile, over_channels over) {
  return 128 / tile * (over == over_channels::sum ? 2 : 1);
}
template <unsigned Tile, over_channels Over>
__global__ void __launch_bounds__(Tile* Tile / 64, blocks_together(Tile, Over)) multiply_panels(const tiling t) {
  constexpr bool sums = Over == over_channels::sum;
  constexpr unsigned threads = Tile * Tile / 64, quarters = Tile / 4, loads = depth * quarters / threads;
  constexpr unsigned lines_apart = threads / quarters;  // of a thread's loads
  static_assert(loads * threads == depth * quarters);
  __shared__ stage<Tile> stages[2];
  const place tile = place_of<Tile>(blockIdx.x);
  const unsigned row = threadIdx.x / (Tile / 8) * 4, column = threadIdx.x % (Tile / 8) * 4;
  const unsigned token = threadIdx.x % quarters * 4, own = threadIdx.x / quarters;
  const four_tokens rows = rows_at(t.p, tile, token), columns = columns_at(t.p, tile, token);
  const unsigned states = t.m.states, begin = min(t.p.lines, blockIdx.y * t.channels_each * states),
                 end = min(t.p.lines, begin + t.channels_each * states);

  float4 next_rows[loads], next_columns[loads];
  const auto fetch = [&](unsigned first) {
#pragma unroll
    for (unsigned k = 0; k < loads; ++k) {
      const unsigned line = first + own + k * lines_apart;
      next_rows[k] = rows(line, line < end);
      next_columns[k] = columns(line, line < end);
    }
  };
  entries sum, all;
  sum.fill(0);
  if (!sums) all.fill(nothing_taken(Over));
  unsigned c = t.p.channel + begin / states, n = 0;
  fetch(begin);
  for (unsigned first = begin, turn = 0; first < end; first += depth, turn ^= 1) {
    stage<Tile>& here = stages[turn];
#pragma unroll
    for (unsigned k = 0; k < loads; ++k) {
      *reinterpret_cast<float4*>(here.rows[own + k * lines_apart] + token) = next_rows[k];
      *reinterpret_cast<float4*>(here.columns[own + k * lines_apart] + token) = next_columns[k];
    }
    __syncthreads();
    fetch(first + depth);
#pragma unroll
    for (unsigned k = 0; k < depth; ++k) {
      sum.template add<Tile>(here.rows[k], here.columns[k], row, column);
      if (sums || ++n < states || first + k >= end) continue;
      all.template take<Over>(t.m.weight(c), sum);
      sum.fill(0);
      ++c;
      n = 0;
    }
  }
  put_all<Tile>(t, tile, row, column, sums ? sum : all);
}

/// The parts of each entry, in order, to the map.
template <unsigned Tile>
__global__ void add_parts(const tiling t, unsigned splits) {
  const unsigned i = blockIdx.y * blockDim.x + threadIdx.x;
  const float* part = t.parts + static_cast<std::size_t>(blockIdx.x) * Tile * Tile + i;
  float x = *part;
  for (unsigned k = 1; k < splits; ++k)
    x = together(t.m.over, x, part[static_cast<std::size_t>(k) * t.tiles * Tile * Tile]);
  put(t, place_of<Tile>(blockIdx.x), i / Tile, i % Tile, x);
}

template <unsigned Tile, over_channels Over>
void add_all(const channels& m, const panels& p, const square& map, unsigned tiles) {
  if (tiles == 0) return;
  const unsigned channels = p.lines / m.states, slots = 132 * blocks_together(Tile, Over);
  const unsigned wanted = std::clamp(slots / tiles, 1u, channels), each = (channels + wanted - 1) / wanted,
                 splits = (channels + each - 1) / each;
  tiling t{m, p, map, tiles, each, nullptr};
  const auto multiply = [&] {
    if (Tile == 128 && Over == over_channels::sum && fit_for_tensor_cores(m, p))
      return multiply_on_tensor_cores(t, splits);
    launch(multiply_panels<Tile, Over>, dim3(tiles, splits), dim3(Tile * Tile / 64), 0, t);
  };
  if (splits == 1) return multiply();
  const scratch<float> parts(static_cast<std::size_t>(splits) * tiles * Tile * Tile);
  t.parts = parts.data();
  multiply();
  launch(add_parts<Tile>, dim3(tiles, Tile * Tile / 256), dim3(256), 0, t, splits);
}
template <over_channels Over>
void add_sizes(const channels& m, const panels& p, const square& map) {
  const unsigned sides = p.chunks / 2;
  add_all<2 * chunk, Over>(m, p, map, sides * (sides - 1) / 2);
  add_all<chunk, Over>(m, p, map, sides);
}

}  // namespace

void add_tiles(const channels& m, const panels& p, const square& map) {
  using over = over_channels;
  if (m.sums()) return add_sizes<over::sum>(m, p, map);
  if (m.over == over::absolute) return add_sizes<over::absolute>(m, p, map);
  if (m.over == over::positive) return add_sizes<over::positive>(m, p, map);
  add_sizes<over::maximum>(m, p, map);
}

}  // namespace alphaform::cuda::maps

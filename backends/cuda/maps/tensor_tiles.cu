// Tiles of 128 on tensor cores: each factor is the sum of two numbers of 16 bits, and all products of those but that of
// the smaller ones are summed in float32, which is off by some 1e-6. The cores cut off what they add, so that their
// sums go over to the other units' every 256 lines.
#include <cuda_bf16.h>
#include <mma.h>

#include <alphaform/backends/cuda/maps/tiles.cuh>

namespace alphaform::cuda::maps {
namespace {

namespace mma = nvcuda::wmma;

constexpr unsigned tile_tokens = 2 * chunk, threads = 256, depth = 16, lines_of_a_sum = 256;
constexpr unsigned stride = tile_tokens + 8;                     // rows of 16 bytes fall on different banks
constexpr unsigned tall = 2, wide = 4;                           // a warp's fragments of 16 x 16: 32 rows, 64 columns
constexpr unsigned loads = depth * tile_tokens / (4 * threads);  // of four tokens, by each thread
constexpr unsigned lines_apart = threads / (tile_tokens / 4);    // of a thread's loads

using large_rows = mma::fragment<mma::matrix_a, 16, 16, 16, __nv_bfloat16, mma::col_major>;
using large_columns = mma::fragment<mma::matrix_b, 16, 16, 16, __nv_bfloat16, mma::row_major>;
using sums = mma::fragment<mma::accumulator, 16, 16, 16, float>;

/// Some lines of a panel, as large parts and what these lack.
struct alignas(32) halves final {
  __nv_bfloat16 large[depth][stride], small[depth][stride];

  __device__ void keep(unsigned line, unsigned token, float4 x) {
    const __nv_bfloat162 xy = __floats2bfloat162_rn(x.x, x.y), zw = __floats2bfloat162_rn(x.z, x.w);
    const float2 a = __bfloat1622float2(xy), b = __bfloat1622float2(zw);
    store(large[line] + token, xy, zw);
    store(small[line] + token, __floats2bfloat162_rn(x.x - a.x, x.y - a.y),
          __floats2bfloat162_rn(x.z - b.x, x.w - b.y));
  }
  __device__ static void store(__nv_bfloat16* to, __nv_bfloat162 xy, __nv_bfloat162 zw) {
    reinterpret_cast<__nv_bfloat162*>(to)[0] = xy;
    reinterpret_cast<__nv_bfloat162*>(to)[1] = zw;
  }
};
struct stage final {
  halves rows, columns;
};

/// One warp's entries.
struct warp_entries final {
  sums at[tall][wide];

  __device__ void clear() {
#pragma unroll
    for (auto& row : at)
#pragma unroll
      for (sums& f : row) mma::fill_fragment(f, 0.0f);
  }
  __device__ void add(const warp_entries& other) {
#pragma unroll
    for (unsigned i = 0; i < tall; ++i)
#pragma unroll
      for (unsigned k = 0; k < wide; ++k)
#pragma unroll
        for (int e = 0; e < sums::num_elements; ++e) at[i][k].x[e] += other.at[i][k].x[e];
  }
  __device__ void multiply(const stage& s, unsigned row, unsigned column) {
    large_rows large[tall], small[tall];
#pragma unroll
    for (unsigned i = 0; i < tall; ++i) {
      mma::load_matrix_sync(large[i], s.rows.large[0] + row + 16 * i, stride);
      mma::load_matrix_sync(small[i], s.rows.small[0] + row + 16 * i, stride);
    }
#pragma unroll
    for (unsigned k = 0; k < wide; ++k) {
      large_columns other;
      mma::load_matrix_sync(other, s.columns.small[0] + column + 16 * k, stride);
#pragma unroll
      for (unsigned i = 0; i < tall; ++i) mma::mma_sync(at[i][k], large[i], other, at[i][k]);
      mma::load_matrix_sync(other, s.columns.large[0] + column + 16 * k, stride);
#pragma unroll
      for (unsigned i = 0; i < tall; ++i) mma::mma_sync(at[i][k], small[i], other, at[i][k]);
#pragma unroll
      for (unsigned i = 0; i < tall; ++i) mma::mma_sync(at[i][k], large[i], other, at[i][k]);
    }
  }
};

/// Fragment after fragment by way of `patch`, 16 x 16 numbers of the warp.
__device__ void put_all(const tiling& t, place tile, unsigned row, unsigned column, const warp_entries& x,
                        float* patch) {
#pragma unroll
  for (unsigned i = 0; i < tall; ++i)
#pragma unroll
    for (unsigned k = 0; k < wide; ++k) {
      __syncwarp();
      mma::store_matrix_sync(patch, x.at[i][k], 16, mma::mem_row_major);
      __syncwarp();
      for (unsigned e = threadIdx.x % 32; e < 256; e += 32) {
        const unsigned to = row + 16 * i + e / 16, s = column + 16 * k + e % 16;
        if (t.parts == nullptr)
          put(t, tile, to, s, patch[e]);
        else
          part_of(t, tile_tokens * tile_tokens)[to * tile_tokens + s] = patch[e];
      }
    }
}

__global__ void __launch_bounds__(threads, 1) multiply_halves(const tiling t) {
  __shared__ stage stages[2];
  const place tile = place_of<tile_tokens>(blockIdx.x);
  const unsigned warp = threadIdx.x / 32, row = warp / 2 * 16 * tall, column = warp % 2 * 16 * wide;
  const unsigned token = threadIdx.x % 32 * 4;
  const four_tokens rows = rows_at(t.p, tile, token), columns = columns_at(t.p, tile, token);
  const unsigned each = t.channels_each * t.m.states, begin = min(t.p.lines, blockIdx.y * each),
                 end = min(t.p.lines, begin + each);

  float4 next_rows[loads], next_columns[loads];
  const auto fetch = [&](unsigned first) {
#pragma unroll
    for (unsigned k = 0; k < loads; ++k) {
      const unsigned line = first + warp + k * lines_apart;
      next_rows[k] = rows(line, line < end);
      next_columns[k] = columns(line, line < end);
    }
  };
  warp_entries all, sum;
  all.clear();
  sum.clear();
  fetch(begin);
  for (unsigned first = begin, turn = 0; first < end; first += depth, turn ^= 1) {
    stage& here = stages[turn];
#pragma unroll
    for (unsigned k = 0; k < loads; ++k) {
      here.rows.keep(warp + k * lines_apart, token, next_rows[k]);
      here.columns.keep(warp + k * lines_apart, token, next_columns[k]);
    }
    __syncthreads();
    fetch(first + depth);
    sum.multiply(here, row, column);
    if ((first - begin) % lines_of_a_sum != lines_of_a_sum - depth) continue;
    all.add(sum);
    sum.clear();
  }
  all.add(sum);
  __syncthreads();
  put_all(t, tile, row, column, all, reinterpret_cast<float*>(stages) + warp * 256);
}

}  // namespace

void multiply_on_tensor_cores(const tiling& t, unsigned splits) {
  launch(multiply_halves, dim3(t.tiles, splits), dim3(threads), 0, t);
}

}  // namespace alphaform::cuda::maps

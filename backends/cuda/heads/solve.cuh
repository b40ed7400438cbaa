// The triangular system of a chunk's corrections, solved for rows and scores: (1 - V)^-1 by substitution within blocks
// of 16 tokens and from block to block, then products on tensor cores.
#pragma once
#include <alphaform/backends/cuda/heads/columns.cuh>
#include <alphaform/backends/cuda/heads/corrected.cuh>
#include <alphaform/backends/cuda/heads/panels.cuh>

namespace alphaform::cuda {

constexpr unsigned solve_threads = prepare_threads;

/// Matrices of a chunk: those that are multiplied from the left by their rows, and others.
struct chunk_matrices final {
  float inverse[head_tokens][row_of_square], of_corrections[head_tokens][row_of_square];
  float probed[head_tokens][row_of_panel], slice[head_tokens][row_of_panel];
};

/// (1 - V)^-1 for a V with nothing on and above the diagonal, of which nothing above it is read.
__device__ inline void invert(const float (&v)[head_tokens][row_of_panel], float (&to)[head_tokens][row_of_square]) {
  const unsigned i = threadIdx.x / block_tokens, j = threadIdx.x % block_tokens;  // within a block
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += solve_threads)
    to[e / head_tokens][e % head_tokens] = 0;
  __syncthreads();
  if (i < blocks) {
    const unsigned first = i * block_tokens;
    float column[block_tokens];
#pragma unroll
    for (unsigned k = 0; k < block_tokens; ++k) {
      float sum = k == j ? 1 : 0;
#pragma unroll
      for (unsigned n = 0; n < k; ++n) sum = fmaf(v[first + k][first + n], column[n], sum);
      column[k] = sum;
      to[first + k][first + j] = sum;
    }
  }
  // A block is the one on the diagonal in its rows times what those between it and the diagonal make of its columns;
  // that is kept for a while where the result has zeros.
  using block_tile = tf32::tile<1, 2>;
  const unsigned warp = threadIdx.x / 32;
  for (unsigned apart = 1; apart < blocks; ++apart) {
    const unsigned column = warp * block_tokens, row = column + apart * block_tokens;
    const auto keep = [&](block_tile& sums, unsigned from_row, unsigned from_column) {
      sums.pairs([&](unsigned n, unsigned k, float x, float y) {
        *reinterpret_cast<float2*>(&to[from_row + n][from_column + k]) = {x, y};
      });
    };
    __syncthreads();
    if (warp + apart < blocks) {
      block_tile sums;
      for (unsigned k = column; k < row; k += block_tokens)
        sums.add<block_tokens>(by_rows<row_of_panel>(&v[row][k]), by_rows<row_of_square>(&to[k][column]));
      keep(sums, column, row);
    }
    __syncthreads();
    if (warp + apart < blocks) {
      block_tile sums;
      sums.add<block_tokens>(by_rows<row_of_square>(&to[row][row]), by_rows<row_of_square>(&to[column][row]));
      keep(sums, row, column);
    }
  }
  __syncthreads();
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += solve_threads)
    if (e / head_tokens < e % head_tokens) to[e / head_tokens][e % head_tokens] = 0;
}

/// Waits for what the block has begun to read.
__device__ inline void arrived() {
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
}

/// 16 x 32 entries of a square of 64 for each of eight warps.
using warp_tile = tf32::tile<1, 4>;
__device__ inline warp_place place_in_square() { return {threadIdx.x / 64 * 16, threadIdx.x / 32 % 2 * 32}; }

template <unsigned Apart>
__device__ inline void add_rows(warp_tile& sums, const float (&a)[head_tokens][Apart],
                                const float (&b)[head_tokens][row_of_panel]) {
  const warp_place warp = place_in_square();
  sums.add_apart<head_tokens, 2>(by_rows<Apart>(a[warp.row]), by_rows<row_of_panel>(&b[0][warp.column]));
}
__device__ inline void add_columns(warp_tile& sums, const float (&a)[head_tokens][row_of_panel],
                                   const float (&b)[head_tokens][row_of_panel]) {
  const warp_place warp = place_in_square();
  sums.add_apart<head_tokens, 2>(by_columns<row_of_panel>(&a[0][warp.row]), by_rows<row_of_panel>(&b[0][warp.column]));
}
/// Calls f(row, column, two entries side by side).
template <class F>
__device__ inline void pairs_of(warp_tile& sums, F f) {
  const warp_place warp = place_in_square();
  sums.pairs([&](unsigned i, unsigned k, float x, float y) { f(warp.row + i, warp.column + k, float2{x, y}); });
}

/// Replaces scores, reads and writes of a chunk, and its probes. @param shared  V in slice
__device__ inline void solve(const chunked_heads<float>& s, const corrected_heads<float>& c, std::size_t place,
                             chunk_matrices& shared) {
  invert(shared.slice, shared.inverse);
  __syncthreads();
  warp_tile solved;
  add_rows(solved, shared.inverse, shared.probed);
  __syncthreads();
  pairs_of(solved, [&](unsigned i, unsigned j, float2 two) { *reinterpret_cast<float2*>(&shared.probed[i][j]) = two; });
  __syncthreads();
  warp_tile more;
  add_rows(more, shared.of_corrections, shared.probed);
  const auto add = [](float2& to, float2 by) { to = {to.x + by.x, to.y + by.y}; };
  pairs_of(more, [&](unsigned i, unsigned j, float2 two) {
    add(*reinterpret_cast<float2*>(s.scores + (place * head_tokens + i) * head_tokens + j), two);
  });

  const std::size_t rows = s.rows_at(place);
  for (unsigned first = 0; first < s.wide_states; first += panel) {
    const auto fetch_rows = [&](const float* from) {
      __syncthreads();
      fetch<panel, solve_threads>(shared.slice, from + rows + first, s.wide_states, head_tokens, s.wide_states - first);
      arrived();
    };
    const auto each_pair = [&](warp_tile& sums, float* to, auto f) {
      pairs_of(sums, [&](unsigned i, unsigned n, float2 two) {
        if (first + n < s.wide_states) f(*reinterpret_cast<float2*>(to + rows + i * s.wide_states + first + n), two);
      });
    };
    fetch_rows(c.probes);
    warp_tile probes;
    add_rows(probes, shared.inverse, shared.slice);
    each_pair(probes, c.probes, [](float2& to, float2 by) { to = by; });
    __syncthreads();
    pairs_of(probes,
             [&](unsigned i, unsigned n, float2 two) { *reinterpret_cast<float2*>(&shared.slice[i][n]) = two; });
    __syncthreads();
    warp_tile reads;
    add_rows(reads, shared.of_corrections, shared.slice);
    each_pair(reads, s.reads, add);
    fetch_rows(c.corrections);
    warp_tile writes;
    add_columns(writes, shared.probed, shared.slice);
    each_pair(writes, s.writes, add);
  }
}

}  // namespace alphaform::cuda

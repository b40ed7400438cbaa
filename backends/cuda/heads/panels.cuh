// Panels of scratch and of x in shared memory, read ahead of the products of a block. Their rows lie so
// far apart that the four tokens or states and eight others that a warp reads at once fall on different banks.
#pragma once
#include <cuda_pipeline_primitives.h>

#include <alphaform/backends/cuda/heads/head.cuh>

namespace alphaform::cuda {

constexpr unsigned panel_threads = 128, panel = 64;  ///< numbers along rows and columns of what a block computes
/// Of the products that it reads ahead.
template <class Number>
constexpr unsigned depth = 128 / sizeof(Number);
/// Numbers from one row to the next: of rows that are multiplied, and of rows that are summed.
template <class Number>
constexpr unsigned row_of_depth = depth<Number> + in_16_bytes<Number>;
constexpr unsigned row_of_square = head_tokens + in_16_bytes<float>, row_of_panel = panel + 8;

/// Begins to read a panel; 0 where it has more rows and columns than there are.
template <unsigned Columns, unsigned Threads = panel_threads, class Number, unsigned Rows, unsigned Row>
__device__ inline void fetch(Number (&to)[Rows][Row], const Number* from, std::int64_t row, unsigned rows,
                             unsigned columns) {
  constexpr unsigned in_row = Columns / in_16_bytes<Number>, step = Threads / in_row;
  const unsigned k = threadIdx.x % in_row * in_16_bytes<Number>;
#pragma unroll
  for (unsigned i = threadIdx.x / in_row; i < Rows; i += step) {
    const bool exists = i < rows && k < columns;
    __pipeline_memcpy_async(&to[i][k], exists ? from + i * row + k : from, 16, exists ? 0 : 16);
  }
}
/// The same of x: tokens of a chunk from `token` on, channels from `channel` on.
template <unsigned Threads = panel_threads, unsigned Columns = panel, class Number, unsigned Rows, unsigned Row>
__device__ inline void fetch_tokens(Number (&to)[Rows][Row], const chunked_heads<Number>& s, const Number* x,
                                    unsigned chunk, unsigned token, unsigned channel) {
  const unsigned count = s.count(chunk), rows = count > token ? count - token : 0;
  const Number* const from = x + (static_cast<std::int64_t>(chunk) * head_tokens + token) * s.x_token;
  if (s.x_lies_together)
    return fetch<Columns, Threads>(to, rows > 0 ? from + channel : x, s.x_token, rows, s.channels - channel);
  for (unsigned e = threadIdx.x; e < Rows * Columns; e += Threads) {
    const unsigned i = e / Columns, k = e % Columns;
    to[i][k] = i < rows && channel + k < s.channels
                   ? from[i * s.x_token + static_cast<std::int64_t>(channel + k) * s.x_chan]
                   : Number(0.0f);
  }
}

/// Where a warp's 32 x `Columns` entries of a panel begin.
struct warp_place final {
  unsigned row, column;
};
template <unsigned Columns = 32, unsigned Panel = panel>
__device__ inline warp_place place_of_warp() {
  constexpr unsigned across = Panel / Columns;
  const unsigned warp = threadIdx.x / 32;
  return {warp / across * 32, warp % across * Columns};
}

}  // namespace alphaform::cuda

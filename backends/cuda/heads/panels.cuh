// Panels of 64 rows and columns in shared memory, for the products of a block of four warps.
#pragma once
#include <alphaform/backends/cuda/heads/head.cuh>
#include <alphaform/backends/cuda/heads/tf32.cuh>

namespace alphaform::cuda {

constexpr unsigned panel_threads = 128, panel = 64;
using head_panel = float[panel][head_row];

/// Rows of scratch, `columns` from `first` on, 0 beyond them.
__device__ inline void load_panel(head_panel& to, const float* rows, unsigned row, unsigned first, unsigned columns,
                                  unsigned count) {
  for (unsigned e = threadIdx.x; e < panel * panel / 4; e += panel_threads) {
    const unsigned i = e / (panel / 4), k = e % (panel / 4) * 4;
    float4 four{};
    if (i < count && first + k < columns)
      four = *reinterpret_cast<const float4*>(rows + static_cast<std::size_t>(i) * row + first + k);
    *reinterpret_cast<float4*>(&to[i][k]) = four;
  }
}
/// The chunk's tokens of x, channels from `first` on.
__device__ inline void load_tokens(head_panel& to, const chunked_heads& s, const float* x, unsigned chunk,
                                   unsigned first) {
  const unsigned count = s.count(chunk);
  x += static_cast<std::int64_t>(chunk) * head_tokens * s.x_token;
  for (unsigned e = threadIdx.x; e < panel * panel; e += panel_threads) {
    const unsigned i = e / panel, k = e % panel;
    to[i][k] =
        i < count && first + k < s.channels ? x[i * s.x_token + static_cast<std::int64_t>(first + k) * s.x_chan] : 0;
  }
}

/// Where a warp's 32 x 32 entries of a panel begin.
struct warp_place final {
  unsigned row, column;
};
__device__ inline warp_place place_of_warp() {
  const unsigned warp = threadIdx.x / 32;
  return {warp / 2 * 32, warp % 2 * 32};
}

}  // namespace alphaform::cuda

// y of every chunk: the scores times its tokens, and what reads the state before it.
#include <alphaform/backends/cuda/heads/panels.cuh>

namespace alphaform::cuda {
namespace {

/// 64 channels.
__global__ void __launch_bounds__(panel_threads) read(const chunked_heads s) {
  __shared__ head_panel rows, columns;
  const unsigned channel = blockIdx.x * panel, chunk = blockIdx.y;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t place = s.place(blockIdx.z, chunk);
  const warp_place warp = place_of_warp();
  tf32::warp_sums sums;
  sums.clear();
  const auto add = [&] {
    __syncthreads();
    sums.add<tf32::mma::row_major>(rows[warp.row], &columns[0][warp.column], head_row, panel);
    __syncthreads();
  };
  load_panel(rows, s.scores + place * head_tokens * head_tokens, head_tokens, 0, head_tokens, head_tokens);
  load_tokens(columns, s, s.x + at.at[head_x], chunk, channel);
  add();
  for (unsigned n = 0; n < s.wide_states; n += panel) {
    load_panel(rows, s.reads + s.rows_at(place), s.wide_states, n, s.wide_states, head_tokens);
    load_panel(columns, s.states_before + s.state_at(place) + static_cast<std::size_t>(n) * s.wide_channels,
               s.wide_channels, channel, s.wide_channels, s.wide_states - n);
    add();
  }
  sums.store(&rows[warp.row][warp.column], head_row);
  __syncthreads();
  const unsigned count = s.count(chunk);
  float* const y = s.y + at.at[head_y] + static_cast<std::int64_t>(chunk) * head_tokens * s.y_token;
  for (unsigned e = threadIdx.x; e < panel * panel; e += panel_threads) {
    const unsigned i = e / panel, k = e % panel;
    if (i < count && channel + k < s.channels)
      y[i * s.y_token + static_cast<std::int64_t>(channel + k) * s.y_chan] = rows[i][k];
  }
}

}  // namespace

void read_chunks(const chunked_heads& s) {
  launch(read, dim3((s.wide_channels + panel - 1) / panel, s.chunks, static_cast<unsigned>(s.heads.entries)),
         dim3(panel_threads), 0, s);
}

}  // namespace alphaform::cuda

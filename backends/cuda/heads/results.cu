// y of every chunk: the scores times its tokens, and what reads the state before it.
#include <alphaform/backends/cuda/heads/panels.cuh>

namespace alphaform::cuda {
namespace {

struct factors final {
  head_panel<panel, depth, by_rows> rows;
  head_panel<depth, panel, by_columns> columns;
};
constexpr unsigned of_scores = head_tokens / depth;  ///< the first steps

/// 64 channels.
__global__ void __launch_bounds__(panel_threads) read(const chunked_heads s) {
  __shared__ union alignas(32) {
    factors ahead[2];
    head_panel<panel, panel, by_rows> results;
  } shared;
  const unsigned channel = blockIdx.x * panel, chunk = blockIdx.y;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t place = s.place(blockIdx.z, chunk);
  const float* const scores = s.scores + place * head_tokens * head_tokens;
  const float* const reads = s.reads + s.rows_at(place);
  const float* const states = s.states_before + s.state_at(place) + channel;
  const auto begin = [&](unsigned step) {
    factors& to = shared.ahead[step % 2];
    if (step < of_scores) {
      fetch<panel, depth, by_rows>(to.rows, scores + step * depth, head_tokens, panel, depth);
      fetch_tokens<depth, by_columns>(to.columns, s, s.x + at.at[head_x], chunk, step * depth, channel);
    } else if (const unsigned n = (step - of_scores) * depth; n < s.wide_states) {
      fetch<panel, depth, by_rows>(to.rows, reads + n, s.wide_states, panel, s.wide_states - n);
      fetch<depth, panel, by_columns>(to.columns, states + static_cast<std::size_t>(n) * s.wide_channels,
                                      s.wide_channels, s.wide_states - n, s.wide_channels - channel);
    }
    __pipeline_commit();
  };
  const warp_place warp = place_of_warp();
  tf32::warp_sums sums;
  sums.clear();
  const unsigned steps = of_scores + (s.wide_states + depth - 1) / depth;
  begin(0);
  for (unsigned step = 0; step < steps; ++step) {
    begin(step + 1);
    __pipeline_wait_prior(1);
    __syncthreads();
    const factors& here = shared.ahead[step % 2];
    sums.add<tf32::mma::row_major>(here.rows[warp.row], depth + by_rows, &here.columns[0][warp.column],
                                   panel + by_columns, depth);
    __syncthreads();
  }
  sums.store(&shared.results[warp.row][warp.column], panel + by_rows);
  __syncthreads();
  const unsigned count = s.count(chunk);
  float* const y = s.y + at.at[head_y] + static_cast<std::int64_t>(chunk) * head_tokens * s.y_token;
  for (unsigned e = threadIdx.x; e < panel * panel; e += panel_threads) {
    const unsigned i = e / panel, k = e % panel;
    if (i < count && channel + k < s.channels)
      y[i * s.y_token + static_cast<std::int64_t>(channel + k) * s.y_chan] = shared.results[i][k];
  }
}

}  // namespace

void read_chunks(const chunked_heads& s) {
  launch(read, dim3((s.wide_channels + panel - 1) / panel, s.chunks, static_cast<unsigned>(s.heads.entries)),
         dim3(panel_threads), 0, s);
}

}  // namespace alphaform::cuda

// What chunks add to the state, and the states before them.
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

/// 64 states by 64 channels of the sum over tokens of w' x.
__global__ void __launch_bounds__(panel_threads) add(const chunked_heads s) {
  __shared__ head_panel writes, x;
  const unsigned panels = (s.wide_channels + panel - 1) / panel, state = blockIdx.x / panels * panel,
                 channel = blockIdx.x % panels * panel, chunk = blockIdx.y;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t place = s.place(blockIdx.z, chunk);
  load_panel(writes, s.writes + s.rows_at(place), s.wide_states, state, s.wide_states, head_tokens);
  load_tokens(x, s, s.x + at.at[head_x], chunk, channel);
  __syncthreads();
  const warp_place warp = place_of_warp();
  tf32::warp_sums sums;
  sums.clear();
  sums.add<tf32::mma::col_major>(&writes[0][warp.row], &x[0][warp.column], head_row, head_tokens);
  __syncthreads();
  sums.store(&writes[warp.row][warp.column], head_row);
  __syncthreads();
  float* const to = s.states_before + s.state_at(place);
  for (unsigned e = threadIdx.x; e < panel * panel / 4; e += panel_threads) {
    const unsigned n = e / (panel / 4), k = e % (panel / 4) * 4;
    if (state + n < s.wide_states && channel + k < s.wide_channels)
      *reinterpret_cast<float4*>(to + static_cast<std::size_t>(state + n) * s.wide_channels + channel + k) =
          *reinterpret_cast<const float4*>(&writes[n][k]);
  }
}

constexpr unsigned carry_threads = 128, ahead = 8;  ///< chunks that are read ahead

/// One entry of a head's state through all chunks, in double.
__global__ void __launch_bounds__(carry_threads) carry(const chunked_heads s) {
  const unsigned entry = blockIdx.x * carry_threads + threadIdx.x, n = entry / s.wide_channels,
                 channel = entry % s.wide_channels;
  if (n >= s.states || channel >= s.channels) return;
  const auto at = places_of(s.heads, blockIdx.y);
  const std::size_t step = static_cast<std::size_t>(s.wide_states) * s.wide_channels;
  float* state = s.states_before + s.state_at(s.place(blockIdx.y, 0)) + entry;
  const double* kept = s.kept + s.place(blockIdx.y, 0) * s.wide_states + n;
  float* const h =
      s.h + at.at[head_h] + static_cast<std::int64_t>(n) * s.h_state + static_cast<std::int64_t>(channel) * s.h_chan;
  double sum = *h;
  for (unsigned k = 0; k < s.chunks; k += ahead) {
    float added[ahead];
    double decay[ahead];
#pragma unroll
    for (unsigned j = 0; j < ahead; ++j) {
      const bool exists = k + j < s.chunks;
      added[j] = exists ? state[j * step] : 0;
      decay[j] = exists ? kept[j * s.wide_states] : 1;
    }
#pragma unroll
    for (unsigned j = 0; j < ahead; ++j) {
      if (k + j < s.chunks) state[j * step] = static_cast<float>(sum);
      sum = fma(decay[j], sum, static_cast<double>(added[j]));
    }
    state += ahead * step;
    kept += ahead * s.wide_states;
  }
  *h = static_cast<float>(sum);
}

}  // namespace

void add_chunks(const chunked_heads& s) {
  const auto panels = [](unsigned n) { return (n + panel - 1) / panel; };
  launch(add, dim3(panels(s.wide_states) * panels(s.wide_channels), s.chunks, static_cast<unsigned>(s.heads.entries)),
         dim3(panel_threads), 0, s);
}

void carry_chunks(const chunked_heads& s) {
  launch(carry,
         dim3((s.wide_states * s.wide_channels + carry_threads - 1) / carry_threads,
              static_cast<unsigned>(s.heads.entries)),
         dim3(carry_threads), 0, s);
}

}  // namespace alphaform::cuda

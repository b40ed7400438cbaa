// The states before chunks: from chunk to chunk where heads alone fill the card, else what every chunk adds to the
// state comes first, all chunks at once.
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

/// 64 states of the sum over tokens of w' x.
__global__ void __launch_bounds__(panel_threads) add(const chunked_heads<float> s) {
  constexpr unsigned depth = cuda::depth<float>;
  __shared__ alignas(16) float writes[head_tokens][row_of_panel], ahead[2][depth][row_of_panel];
  __shared__ float weights[head_tokens];
  constexpr unsigned steps = head_tokens / depth;
  const unsigned state = blockIdx.x * panel, chunk = blockIdx.y, panels = (s.wide_channels + panel - 1) / panel;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t place = s.place(blockIdx.z, chunk);
  const warp_place warp = place_of_warp();
  const head_rows<float> rows = s.rows_that_write(place, chunk, at.at[write_v]);
  float* const to = s.states_before + s.state_at(place);
  const auto begin = [&](unsigned step) {
    if (step < panels * steps)
      fetch_tokens(ahead[step % 2], s, s.x + at.at[head_x], chunk, step % steps * depth, step / steps * panel);
    __pipeline_commit();
  };
  fetch<panel>(writes, rows.at + state, rows.token, rows.weighted ? s.count(chunk) : head_tokens,
               rows.states - min(rows.states, state));
  if (threadIdx.x < head_tokens)
    weights[threadIdx.x] = !rows.weighted ? 1 : s.write_weights[place * head_tokens + threadIdx.x];
  begin(0);
  tf32::tile<2, 4> sums;
  for (unsigned step = 0; step < panels * steps; ++step) {
    begin(step + 1);
    __pipeline_wait_prior(1);
    __syncthreads();
    const unsigned token = step % steps * depth;
    sums.add<depth>(by_columns<row_of_panel>(&writes[token][warp.row]),
                    by_rows<row_of_panel>(&ahead[step % 2][0][warp.column]), weights + token);
    if (step % steps == steps - 1) {
      sums.pairs([&](unsigned i, unsigned k, float sum, float next) {
        const unsigned n = state + warp.row + i, channel = step / steps * panel + warp.column + k;
        if (n < s.wide_states && channel < s.wide_channels)
          *reinterpret_cast<float2*>(to + static_cast<std::size_t>(n) * s.wide_channels + channel) = {sum, next};
      });
      sums.clear();
    }
    __syncthreads();
  }
}

constexpr unsigned carry_threads = 128, together = 4;  ///< channels of a thread

/// What some chunks add to a thread's entries of the state, and their decays.
template <unsigned Ahead>
struct fetched_chunks final {
  float4 added[Ahead];
  double kept[Ahead];

  __device__ fetched_chunks(const chunked_heads<float>& s, const float* state, std::size_t step, const double* decays,
                            unsigned chunk) {
#pragma unroll
    for (unsigned j = 0; j < Ahead; ++j) {
      const bool exists = chunk + j < s.chunks;
      added[j] = exists ? *reinterpret_cast<const float4*>(state + (chunk + j) * step) : float4{};
      kept[j] = exists ? decays[static_cast<std::size_t>(chunk + j) * s.wide_states] : 1;
    }
  }
};

/// Some entries of a head's state through all chunks, in double.
template <unsigned Ahead>
__global__ void __launch_bounds__(carry_threads) carry(const chunked_heads<float> s) {
  const unsigned entry = (blockIdx.x * carry_threads + threadIdx.x) * together, n = entry / s.wide_channels,
                 channel = entry % s.wide_channels;
  if (n >= s.states || channel >= s.channels) return;
  const auto at = places_of(s.heads, blockIdx.y);
  const std::size_t step = static_cast<std::size_t>(s.wide_states) * s.wide_channels;
  float* const state = s.states_before + s.state_at(s.place(blockIdx.y, 0)) + entry;
  const double* const kept = s.kept + s.place(blockIdx.y, 0) * s.wide_states + n;
  const unsigned channels = min(together, s.channels - channel);
  float* const h =
      s.h + at.at[head_h] + static_cast<std::int64_t>(n) * s.h_state + static_cast<std::int64_t>(channel) * s.h_chan;
  double sum[together]{};
#pragma unroll
  for (unsigned k = 0; k < together; ++k)
    if (k < channels) sum[k] = h[static_cast<int>(k) * s.h_chan];
  fetched_chunks<Ahead> now(s, state, step, kept, 0);
  for (unsigned c = 0; c < s.chunks; c += Ahead) {
    const fetched_chunks<Ahead> next(s, state, step, kept, c + Ahead);
#pragma unroll
    for (unsigned j = 0; j < Ahead; ++j) {
      if (c + j < s.chunks)
        *reinterpret_cast<float4*>(state + (c + j) * step) = {static_cast<float>(sum[0]), static_cast<float>(sum[1]),
                                                              static_cast<float>(sum[2]), static_cast<float>(sum[3])};
      sum[0] = fma(now.kept[j], sum[0], static_cast<double>(now.added[j].x));
      sum[1] = fma(now.kept[j], sum[1], static_cast<double>(now.added[j].y));
      sum[2] = fma(now.kept[j], sum[2], static_cast<double>(now.added[j].z));
      sum[3] = fma(now.kept[j], sum[3], static_cast<double>(now.added[j].w));
    }
    now = next;
  }
#pragma unroll
  for (unsigned k = 0; k < together; ++k)
    if (k < channels) h[static_cast<int>(k) * s.h_chan] = static_cast<float>(sum[k]);
}

constexpr unsigned follow_threads = 256;

/// What a chunk brings for 64 states and 64 channels.
struct followed_chunk final {
  float writes[head_tokens][row_of_panel], x[head_tokens][row_of_panel];
  float weights[head_tokens];
  double kept[panel];
};

/// 64 states of 64 channels through all chunks, without what chunks add by themselves.
__global__ void __launch_bounds__(follow_threads) follow(const chunked_heads<float> s) {
  auto* const ahead = shared_memory<followed_chunk>();
  const unsigned state = blockIdx.x * panel, channel = blockIdx.y * panel;
  const auto at = places_of(s.heads, blockIdx.z);
  const auto begin = [&](unsigned chunk) {
    if (chunk < s.chunks) {
      followed_chunk& to = ahead[chunk % 2];
      const std::size_t place = s.place(blockIdx.z, chunk);
      const head_rows<float> rows = s.rows_that_write(place, chunk, at.at[write_v]);
      fetch<panel, follow_threads>(to.writes, rows.at + state, rows.token, rows.weighted ? s.count(chunk) : head_tokens,
                                   rows.states - min(rows.states, state));
      fetch_tokens<follow_threads>(to.x, s, s.x + at.at[head_x], chunk, 0, channel);
      if (const unsigned i = threadIdx.x; i < head_tokens) {
        if (!rows.weighted)
          to.weights[i] = 1;
        else
          __pipeline_memcpy_async(&to.weights[i], s.write_weights + place * head_tokens + i, sizeof(float));
        if (state + i < s.wide_states)
          __pipeline_memcpy_async(&to.kept[i], s.kept + place * s.wide_states + state + i, sizeof(double));
      }
    }
    __pipeline_commit();
  };
  begin(0);
  const warp_place warp = place_of_warp<16>();
  const auto exists = [&](unsigned i, unsigned k) {
    return state + warp.row + i < s.states && channel + warp.column + k < s.channels;
  };
  float* const h = s.h + at.at[head_h] + static_cast<std::int64_t>(state + warp.row) * s.h_state +
                   static_cast<std::int64_t>(channel + warp.column) * s.h_chan;
  const auto of_h = [&](unsigned i, unsigned k) -> float& {
    return h[static_cast<std::int64_t>(i) * s.h_state + static_cast<std::int64_t>(k) * s.h_chan];
  };
  tf32::tile<2, 2> sums;
  sums.pairs([&](unsigned i, unsigned k, float& sum, float& next) {
    if (exists(i, k)) sum = of_h(i, k);
    if (exists(i, k + 1)) next = of_h(i, k + 1);
  });
  for (unsigned chunk = 0; chunk < s.chunks; ++chunk) {
    begin(chunk + 1);
    float* const to = s.states_before + s.state_at(s.place(blockIdx.z, chunk));
    sums.pairs([&](unsigned i, unsigned k, float sum, float next) {
      const unsigned n = state + warp.row + i, c = channel + warp.column + k;
      if (n < s.wide_states && c < s.wide_channels)
        *reinterpret_cast<float2*>(to + static_cast<std::size_t>(n) * s.wide_channels + c) = {sum, next};
    });
    __pipeline_wait_prior(1);
    __syncthreads();
    const followed_chunk& here = ahead[chunk % 2];
    tf32::tile<2, 2> added;
    added.add<head_tokens>(by_columns<row_of_panel>(&here.writes[0][warp.row]),
                           by_rows<row_of_panel>(&here.x[0][warp.column]), here.weights);
    sums.with(added, [&](unsigned i, unsigned, float& sum, float more) {
      const auto change = static_cast<float>(here.kept[warp.row + i] - 1);  // a decay near 1 would be rounded each time
      sum += fmaf(change, sum, more);
    });
    __syncthreads();
  }
  sums.pairs([&](unsigned i, unsigned k, float sum, float next) {
    if (exists(i, k)) of_h(i, k) = sum;
    if (exists(i, k + 1)) of_h(i, k + 1) = next;
  });
}

unsigned panels_of(unsigned n) { return (n + panel - 1) / panel; }

void carry_chunks(const chunked_heads<float>& s) {
  const dim3 blocks((s.wide_states * s.wide_channels / together + carry_threads - 1) / carry_threads,
                    static_cast<unsigned>(s.heads.entries));
  // Fewer threads have to read further ahead.
  const bool fills = blocks.x * blocks.y >= 6 * static_cast<unsigned>(processors());
  launch(fills ? carry<4> : carry<8>, blocks, dim3(carry_threads), 0, s);
}
void follow_chunks(const chunked_heads<float>& s) {
  constexpr std::size_t bytes = 2 * sizeof(followed_chunk);
  check(cudaFuncSetAttribute(follow, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(follow, dim3(panels_of(s.wide_states), panels_of(s.wide_channels), static_cast<unsigned>(s.heads.entries)),
         dim3(follow_threads), bytes, s);
}

}  // namespace

void add_chunks(const chunked_heads<float>& s) {
  launch(add, dim3(panels_of(s.wide_states), s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(panel_threads), 0,
         s);
}

template <>
void find_states(const chunked_heads<float>& s) {
  const std::size_t blocks = s.heads.entries * panels_of(s.wide_states) * panels_of(s.wide_channels);
  if (4 * blocks >= 3 * static_cast<std::size_t>(processors())) return follow_chunks(s);
  add_chunks(s);
  carry_chunks(s);
}

}  // namespace alphaform::cuda

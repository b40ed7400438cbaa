// The states before chunks of heads with corrections: what each chunk's tokens add comes first, all chunks at once;
// then some channels of a head go from chunk to chunk, with all states, of which the corrections are sums.
#include <alphaform/backends/cuda/heads/corrected.cuh>
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

constexpr unsigned correct_threads = 256, some_channels = 16, row_of_some = some_channels + 8;

/// What a chunk brings.
template <unsigned States>
struct chunk_of_corrections final {
  float probes[head_tokens][States + 4], corrections[head_tokens][States + 8];
  float added[States][row_of_some];
  double kept[States];
};
template <unsigned States>
struct corrected_channels final {
  static constexpr unsigned stages = States > 64 ? 2 : 4;
  chunk_of_corrections<States> ahead[stages];
  float state[States][row_of_some], correction[head_tokens][row_of_some];
};

template <unsigned States>
__global__ void __launch_bounds__(correct_threads)
    correct(const chunked_heads<float> s, const corrected_heads<float> c) {
  auto& shared = *shared_memory<corrected_channels<States>>();
  constexpr unsigned stages = corrected_channels<States>::stages;
  const unsigned channel = blockIdx.x * some_channels;
  const auto begin = [&](unsigned chunk) {
    if (chunk < s.chunks) {
      chunk_of_corrections<States>& to = shared.ahead[chunk % stages];
      const std::size_t place = s.place(blockIdx.y, chunk);
      fetch<States, correct_threads>(to.probes, c.probes + s.rows_at(place), s.wide_states, head_tokens, s.wide_states);
      fetch<States, correct_threads>(to.corrections, c.corrections + s.rows_at(place), s.wide_states, head_tokens,
                                     s.wide_states);
      fetch<some_channels, correct_threads>(to.added, s.states_before + s.state_at(place) + channel, s.wide_channels,
                                            s.wide_states, some_channels);
      if (threadIdx.x < s.wide_states)
        __pipeline_memcpy_async(&to.kept[threadIdx.x], s.kept + place * s.wide_states + threadIdx.x, sizeof(double));
    }
    __pipeline_commit();
  };
  for (unsigned chunk = 0; chunk + 1 < stages; ++chunk) begin(chunk);
  // Four warps by two of eight channels each.
  constexpr unsigned tall = States / 64;
  const unsigned warp = threadIdx.x / 32, column = warp % 2 * 8, token = warp / 2 * 16, state = warp / 2 * 16 * tall;
  float* const h = s.h + places_of(s.heads, blockIdx.y).at[head_h];
  const auto of_h = [&](unsigned n, unsigned k) -> float& {
    return h[static_cast<std::int64_t>(n) * s.h_state + static_cast<std::int64_t>(channel + k) * s.h_chan];
  };
  const auto exists = [&](unsigned n, unsigned k) { return n < s.states && channel + k < s.channels; };
  tf32::tile<tall, 1> sums, corrected;
  sums.pairs([&](unsigned i, unsigned k, float& x, float& y) {
    const unsigned n = state + i;
    if (exists(n, column + k)) x = of_h(n, column + k);
    if (exists(n, column + k + 1)) y = of_h(n, column + k + 1);
  });
  for (unsigned chunk = 0; chunk < s.chunks; ++chunk) {
    begin(chunk + stages - 1);
    sums.pairs([&](unsigned i, unsigned k, float x, float y) {
      *reinterpret_cast<float2*>(&shared.state[state + i][column + k]) = {x, y};
    });
    __pipeline_wait_prior(stages - 1);
    __syncthreads();
    // Only now, as what the chunk adds was there.
    float* const before = s.states_before + s.state_at(s.place(blockIdx.y, chunk)) + channel + column;
    sums.pairs([&](unsigned i, unsigned k, float x, float y) {
      if (state + i < s.wide_states)
        *reinterpret_cast<float2*>(before + static_cast<std::size_t>(state + i) * s.wide_channels + k) = {x, y};
    });
    const chunk_of_corrections<States>& here = shared.ahead[chunk % stages];
    tf32::tile<1, 1> correction;
    correction.add_apart<States>(by_rows<States + 4>(here.probes[token]),
                                 by_rows<row_of_some>(&shared.state[0][column]));
    correction.pairs([&](unsigned i, unsigned k, float x, float y) {
      *reinterpret_cast<float2*>(&shared.correction[token + i][column + k]) = {x, y};
    });
    __syncthreads();
    corrected.clear();
    corrected.add_apart<head_tokens>(by_columns<States + 8>(&here.corrections[0][state]),
                                     by_rows<row_of_some>(&shared.correction[0][column]));
    sums.with(corrected, [&](unsigned i, unsigned, float& sum, float more) {
      const auto change = static_cast<float>(here.kept[state + i] - 1);  // a decay near 1 would be rounded each time
      sum += state + i < s.wide_states ? fmaf(change, sum, more) : 0;
    });
    sums.pairs([&](unsigned i, unsigned k, float& x, float& y) {
      const auto more = *reinterpret_cast<const float2*>(&here.added[state + i][column + k]);
      if (state + i < s.wide_states) x += more.x, y += more.y;
    });
    __syncthreads();
  }
  sums.pairs([&](unsigned i, unsigned k, float x, float y) {
    const unsigned n = state + i;
    if (exists(n, column + k)) of_h(n, column + k) = x;
    if (exists(n, column + k + 1)) of_h(n, column + k + 1) = y;
  });
}

template <unsigned States>
void correct_chunks(const chunked_heads<float>& s, const corrected_heads<float>& c) {
  constexpr std::size_t bytes = sizeof(corrected_channels<States>);
  const auto kernel = correct<States>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3(s.wide_channels / some_channels, static_cast<unsigned>(s.heads.entries)), dim3(correct_threads),
         bytes, s, c);
}

}  // namespace

void find_states(const chunked_heads<float>& s, const corrected_heads<float>& c) {
  add_chunks(s);
  s.wide_states <= 64 ? correct_chunks<64>(s, c) : correct_chunks<128>(s, c);
}

}  // namespace alphaform::cuda

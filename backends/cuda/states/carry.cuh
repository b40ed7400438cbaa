// The states of a recurrence from chunk to chunk, in double: h <- (product of a) h + what the chunk adds.
#pragma once
#include <alphaform/backends/cuda/states/passes.cuh>

namespace alphaform::cuda {

constexpr int chunks_fetched = 16;  ///< that are read ahead

/// `carried` has what every chunk adds to a state, and the state before it when this is done; `totals` holds the
/// product of a or, if `BySum`, the sum of u, of which v makes the logarithm.
template <int States, bool BySum>
__global__ void __launch_bounds__(chunk_threads)
    carry_states(const chunked_recurrence s, float* carried, const double* totals) {
  const std::uint64_t all = static_cast<std::uint64_t>(s.columns) * (States * chunk_threads);
  const std::uint64_t entry = static_cast<std::uint64_t>(blockIdx.x) * chunk_threads + threadIdx.x;
  const auto column = static_cast<std::uint32_t>(entry / (States * chunk_threads));
  const chunk_place p = lane_of(s, column, threadIdx.x);
  const std::uint32_t n = state_of<States>(static_cast<int>(blockIdx.x % States), p.group, s.groups);
  if (p.idle || n >= s.states) return;

  const auto at = places_of(s.lanes, p.lane);
  const float v = BySum ? fmaxf(s.from[decay_v][at.at[decay_v] + n * s.state[decay_v]], lowest_decay) : 0;
  const double* total = totals + (BySum ? static_cast<std::uint64_t>(column) * chunk_threads + threadIdx.x : entry);
  const std::uint64_t total_step = BySum ? all / States : all;
  float* const h = s.h + at.at[controls] + n * s.h_state;
  float* state = carried + entry;
  double carry = *h;
  for (std::uint32_t k = 0; k < s.chunks; k += chunks_fetched) {
    float added[chunks_fetched];
    double decay[chunks_fetched];
#pragma unroll
    for (int j = 0; j < chunks_fetched; ++j) {
      const bool exists = k + j < s.chunks;
      added[j] = exists ? state[j * all] : 0;
      decay[j] = exists ? total[j * total_step] : BySum ? 0 : 1;
    }
#pragma unroll
    for (int j = 0; j < chunks_fetched; ++j) {
      if (k + j < s.chunks) state[j * all] = static_cast<float>(carry);
      carry = fma(BySum ? decay_of(v * static_cast<float>(decay[j])) : decay[j], carry, static_cast<double>(added[j]));
    }
    state += chunks_fetched * all;
    total += chunks_fetched * total_step;
  }
  *h = static_cast<float>(carry);
}

}  // namespace alphaform::cuda

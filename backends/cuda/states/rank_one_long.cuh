// A recurrence with transition Diag(a) + p q' whose states are too many for registers: a block a lane, states where the
// caller has them.
#pragma once
#include <alphaform/backends/cuda/states/rank_one_steps.cuh>

namespace alphaform::cuda {

constexpr int long_threads = 256;

/// The sums over all threads of a block of two numbers each, in every thread.
__device__ inline float2 sums_of_block(float a, float b, float2* shared) {
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = {a, b};
  for (int k = long_threads / 2; k > 0; k /= 2) {
    __syncthreads();
    if (thread < k) shared[thread].x += shared[thread + k].x, shared[thread].y += shared[thread + k].y;
  }
  __syncthreads();
  const float2 sums = shared[0];
  __syncthreads();
  return sums;
}

/// Transit, write and read follow each other as passes over the states that are the thread's own.
template <turn Order>
__global__ void __launch_bounds__(long_threads) rank_one_long(const rank_one_scan s) {
  __shared__ float2 shared[long_threads];
  const places<head_operands> head = places_of(s.heads, blockIdx.x / s.lanes.entries);
  const places<3> lane = places_of(s.lanes, blockIdx.x % s.lanes.entries);
  const float* const x = s.x + head.at[input] + lane.at[0];
  float *const h = s.h + head.at[state] + lane.at[1], *const y = s.y + head.at[result] + lane.at[2];
  for (std::uint64_t i = 0; i < s.tokens; ++i) {
    const auto t = static_cast<std::int64_t>(i);
    const auto entry = [&](row r, std::int64_t n) {
      const auto factor = [&](int k) { return __ldg(s.from[k] + head.at[k] + t * s.token[k] + n * s.state_step[k]); };
      return factor(2 * r) * factor(2 * r + 1);
    };
    const auto write = [&](std::int64_t n) {
      h[n * s.h_state] = fmaf(entry(write_row, n), __ldg(x + t * s.x_token), h[n * s.h_state]);
    };
    float measured = 0, sum = 0;
    for (std::int64_t n = threadIdx.x; n < s.states; n += long_threads) {
      if constexpr (Order == turn::write_read_transit) write(n);
      measured = fmaf(entry(probe_row, n), h[n * s.h_state], measured);
      if constexpr (Order != turn::transit_write_read) sum = fmaf(entry(read_row, n), h[n * s.h_state], sum);
    }
    float2 sums = sums_of_block(measured, sum, shared);
    measured = sums.x, sum = 0;
    for (std::int64_t n = threadIdx.x; n < s.states; n += long_threads) {
      float& state = h[n * s.h_state];
      const float change = entry(change_row, n), log = isnan(change) ? 0 : change;  // 0 times -infinity is 0
      state = fmaf(entry(correct_row, n), measured, fmaf(s.logarithmic ? expm1f(log) : change, state, state));
      if constexpr (Order != turn::write_read_transit) write(n);
      if constexpr (Order == turn::transit_write_read) sum = fmaf(entry(read_row, n), state, sum);
    }
    if constexpr (Order == turn::transit_write_read) sums.y = sums_of_block(sum, 0, shared).x;
    if (threadIdx.x == 0) y[t * s.y_token] = sums.y;
  }
}

}  // namespace alphaform::cuda

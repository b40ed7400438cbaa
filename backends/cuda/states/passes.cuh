// A linear recurrence over chunks of tokens that run side by side (paper Eq. 5-7). Pass one: what every chunk adds to
// the state, as a sum of writes that are weighted by the decays after them. Between: states are carried from chunk to
// chunk (carry.cuh). Pass two: results, each chunk from its own first state.
#pragma once
#include <alphaform/backends/cuda/states/chunks.cuh>

namespace alphaform::cuda {

/// a of its logarithm, to a float's accuracy for both a and a - 1.
__device__ inline double decay_of(float logarithm) {
  return logarithm > -0.5f ? 1 + static_cast<double>(expm1f(logarithm)) : static_cast<double>(expf(logarithm));
}

/// The decays that a write meets, of their logarithms.
template <int Decays, bool Logarithmic, bool Kept>
struct decays_after final {
  float sum[Decays]{};  ///< of log2 a
  __device__ void add(float u, const float (&v)[Decays]) {
#pragma unroll
    for (int i = 0; i < Decays; ++i) sum[i] = fmaf(u, v[i], sum[i]);
  }
  __device__ float weight(int i, const float (&)[Decays]) const { return exp2f(sum[i]); }
  __device__ double total(int i) const { return decay_of(sum[i] * log_2); }
};
/// The same where v is kept: one sum for all states.
template <int Decays>
struct decays_after<Decays, true, true> final {
  float sum = 0;  ///< of u
  __device__ void add(float u, const float (&)[Decays]) { sum += u; }
  __device__ float weight(int i, const float (&v)[Decays]) const { return exp2f(sum * v[i]); }
};
/// Products of a, and the same less 1 with what its additions round away: exact where the other is close to 1.
template <int Decays, bool Kept>
struct decays_after<Decays, false, Kept> final {
  float lost[Decays]{}, rounded[Decays]{}, left[Decays];
  __device__ decays_after() {
#pragma unroll
    for (float& one : left) one = 1;
  }
  __device__ void add(float u, const float (&v)[Decays]) {
#pragma unroll
    for (int i = 0; i < Decays; ++i) {
      const float change = u * v[i], more = fmaf(lost[i], change, change), sum = lost[i] + more;
      rounded[i] += more - (sum - lost[i]);
      lost[i] = sum;
      left[i] = fmaf(left[i], change, left[i]);
    }
  }
  __device__ float weight(int i, const float (&)[Decays]) const { return lost[i] > -0.5f ? 1 + lost[i] : left[i]; }
  __device__ double total(int i) const {
    return lost[i] > -0.5f ? 1 + (static_cast<double>(lost[i]) + rounded[i]) : left[i];
  }
};

/// h <- a h + b x. Decays by their logarithms are rounded near 1, which a chunk's length bounds; those that are given
/// as a - 1 are not.
template <bool Logarithmic, int States, int Decays>
__device__ inline void advance(float (&h)[States], float u, const float (&v)[Decays], float w,
                               const float (&write)[States]) {
  float decay[Decays];
#pragma unroll
  for (int i = 0; i < Decays; ++i) decay[i] = Logarithmic ? exp2f(u * v[i]) : u * v[i];
#pragma unroll
  for (int i = 0; i < States; ++i) {
    const float b = w * write[i];
    h[i] =
        Logarithmic ? fmaf(decay[i % Decays], h[i], b) : fmaf(decay[i % Decays], h[i], h[i]) + b;  // nothing of h at -1
  }
}
/// The sum of v h over a thread's states.
template <int States>
__device__ inline float read_out(const float (&h)[States], const float (&v)[States]) {
  float sums[States < 4 ? States : 4]{};
#pragma unroll
  for (int i = 0; i < States; ++i) sums[i % 4] = fmaf(h[i], v[i], sums[i % 4]);
  if constexpr (States < 4) return sums[0];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Blocks that a processor should have room for: so many warps that each other's waits do not matter.
template <int States, factors_from From>
constexpr int blocks_at_once = (States == 16 ? 4 : 5) - (From == factors_from::memory);

__device__ inline std::uint64_t slot_of(const chunked_recurrence& s, const chunk_place& p, int states) {
  return (static_cast<std::uint64_t>(p.chunk) * s.columns + p.column) * (states * chunk_threads) + threadIdx.x;
}

/// Pass one: `added` to the states by a chunk, and the `totals` of its decays: the sum of u where log a has a v that
/// keeps, else the product of a for every state.
template <int States, factors_from From, bool Logarithmic>
__global__ void __launch_bounds__(chunk_threads, (blocks_at_once<States, From>))
    add_chunks(const chunked_recurrence s, float* added, double* totals) {
  const chunk_place p = lane_of(s, blockIdx.x, threadIdx.x);
  const auto at = places_of(s.lanes, p.lane);
  using streams = chunk_streams<States, From, Logarithmic, true>;
  streams in(s, p, at);
  decays_after<streams::decays, Logarithmic, keeps_decays<From>> after;
  float h[States]{};
  float* const rows = shared_memory<float>();
  fetched now = in.fetch_from(0);
  for (int k = 0; k < in.steps(); k += tokens_fetched) {
    if constexpr (shares<From>)
      if ((k & (s.staged - 1)) == 0) in.stage_from(k, rows);
    const fetched soon = in.fetch_from(k + tokens_fetched);
#pragma unroll
    for (int j = 0; j < tokens_fetched; ++j) {
      in.take(k + j, rows);
      after.add(Logarithmic ? fmaxf(now.decay[j], lowest_decay) : now.decay[j], in.decay);
      float weight[streams::decays];
#pragma unroll
      for (int i = 0; i < streams::decays; ++i) weight[i] = after.weight(i, in.decay);
      const float w = now.write[j] * now.x[j];
#pragma unroll
      for (int i = 0; i < States; ++i) h[i] = fmaf(weight[i % streams::decays], w * in.write[i], h[i]);
    }
    now = soon;
  }
  const std::uint64_t slot = slot_of(s, p, States);
#pragma unroll
  for (int i = 0; i < States; ++i) added[slot + i * chunk_threads] = h[i];
  if constexpr (Logarithmic && keeps_decays<From>) {
    totals[slot_of(s, p, 1)] = after.sum;
  } else {
#pragma unroll
    for (int i = 0; i < States; ++i) totals[slot + i * chunk_threads] = after.total(i % streams::decays);
  }
}

/// Pass two, from the states at the first token of each chunk; if all tokens are one chunk, from h and to h.
template <int States, factors_from From, bool Logarithmic>
__global__ void __launch_bounds__(chunk_threads, (blocks_at_once<States, From>))
    read_chunks(const chunked_recurrence s, const float* carried) {
  const chunk_place p = lane_of(s, blockIdx.x, threadIdx.x);
  const auto at = places_of(s.lanes, p.lane);
  chunk_streams<States, From, Logarithmic, false> in(s, p, at);
  float* const last = s.h + at.at[controls];
  float* const y = s.y + at.at[controls + 1] + static_cast<std::int64_t>(p.chunk) * s.length * s.y_token;
  const std::uint64_t slot = slot_of(s, p, States);
  const auto offset = [&](int i) { return state_of<States>(i, p.group, s.groups); };
  float h[States];
#pragma unroll
  for (int i = 0; i < States; ++i)
    h[i] = s.chunks > 1 ? carried[slot + i * chunk_threads] : offset(i) < s.states ? last[offset(i) * s.h_state] : 0;

  float* const rows = shared_memory<float>();
  fetched now = in.fetch_from(0);
  for (int k = 0; k < in.steps(); k += tokens_fetched) {
    if constexpr (shares<From>)
      if ((k & (s.staged - 1)) == 0) in.stage_from(k, rows);
    const fetched soon = in.fetch_from(k + tokens_fetched);
    float results[tokens_fetched];
#pragma unroll
    for (int j = 0; j < tokens_fetched; ++j) {
      in.take(k + j, rows);
      const float u = Logarithmic ? fmaxf(now.decay[j], lowest_decay) : now.decay[j];
      advance<Logarithmic>(h, u, in.decay, now.write[j] * now.x[j], in.write);
      results[j] = now.read[j] * read_out(h, in.read);
    }
    for (std::uint32_t apart = p.apart; apart < 32; apart *= 2)
#pragma unroll
      for (float& sum : results) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    if (p.group == 0 && !p.idle)
#pragma unroll
      for (int j = 0; j < tokens_fetched; ++j)
        if (k + j < in.count) y[(k + j) * s.y_token] = results[j];
    now = soon;
  }
  if (s.chunks > 1 || p.idle) return;
#pragma unroll
  for (int i = 0; i < States; ++i)
    if (offset(i) < s.states) last[offset(i) * s.h_state] = h[i];
}

}  // namespace alphaform::cuda

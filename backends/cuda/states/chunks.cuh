// How the streams of a recurrence come to the threads that scan a chunk of its tokens. Threads of a block are lanes
// next to each other; a lane's states are split over `groups` threads of a warp.
#pragma once
#include <alphaform/backends/cuda/launch.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>
#include <type_traits>

namespace alphaform::cuda {

enum control : int { decay_u, decay_v, write_u, write_v, read_u, read_v, given, controls };

/// Where the factors v of decay, write and read come from.
enum class factors_from {
  registers,                 ///< none changes with the token
  shared_but_for_decays,     ///< write and read are the same for the lanes of a block; decays do not change
  shared_but_for_one_decay,  ///< and are one number for all states of a lane
  shared,                    ///< the same for the lanes of a block
  memory                     ///< each thread reads its own
};
template <factors_from F>
constexpr bool keeps_all = F == factors_from::registers;
template <factors_from F>
constexpr bool keeps_decays =
    keeps_all<F> || F == factors_from::shared_but_for_decays || F == factors_from::shared_but_for_one_decay;
template <factors_from F>
constexpr bool shares = !keeps_all<F> && F != factors_from::memory;

constexpr int chunk_threads = 128;
constexpr int tokens_fetched = 4;  ///< that streams are read ahead
constexpr float log2_e = 1.44269504088896341f, log_2 = 0.693147180559945309f;
/// In place of log a = -infinity: with 0 it makes 0.
constexpr float lowest_decay = -1e30f;

struct chunked_recurrence final {
  layout<controls + 2> lanes;  ///< of the controls, h and y
  const float* from[controls];
  int token[controls], state[controls];  ///< steps; tokens in the direction of the scan
  float *h, *y;
  int h_state, y_token;
  std::uint64_t tokens;
  std::uint32_t states, groups;
  std::uint64_t run;                         ///< consecutive lanes that blocks may share factors in
  std::uint32_t run_columns, columns;        ///< blocks side by side: of a run of lanes, in all
  std::uint32_t length, chunks, staged = 1;  ///< tokens of a chunk, and of shared memory: a power of two
  bool decay_lags, write_lags;               ///< a step takes the decay or write of the token before
};

/// One thread's part of the work.
struct chunk_place final {
  std::uint32_t column, chunk, group;
  std::uint32_t apart;  ///< threads of one lane in a warp
  bool idle;            ///< takes part in what the block does together but has no lane
  std::uint64_t lane;
};
/// @param block  the first of each chunk follows the last of the chunk before
__device__ inline chunk_place lane_of(const chunked_recurrence& s, std::uint32_t block, std::uint32_t thread) {
  chunk_place p{};
  const std::uint32_t column = block % s.columns;
  const std::uint32_t in_warp = 32 / s.groups;
  const std::uint64_t first = static_cast<std::uint64_t>(column % s.run_columns) * (chunk_threads / s.groups);
  const std::uint64_t along = first + thread / 32 * in_warp + thread % in_warp;
  p.column = column;
  p.chunk = block / s.columns;
  p.group = thread % 32 / in_warp;
  p.apart = in_warp;
  p.idle = along >= s.run;
  p.lane = column / s.run_columns * s.run + (p.idle ? s.run - 1 : along);
  return p;
}
/// The state that number i of a thread's states is: neighbours read neighbouring quadruples.
template <int States>
__device__ inline std::uint32_t state_of(int i, std::uint32_t group, std::uint32_t groups) {
  constexpr int together = States < 4 ? States : 4;
  return i / together * together * groups + group * together + i % together;
}

/// The numbers of some tokens of one stream, 0 outside of the chunk.
template <int Way>
__device__ inline void fetch(float (&to)[tokens_fetched], const float* chunk, int step, int first, int count) {
  const int last = first + Way * (tokens_fetched - 1);
  if (min(first, last) >= 0 && max(first, last) < count) {
#pragma unroll
    for (int j = 0; j < tokens_fetched; ++j) to[j] = __ldg(chunk + (first + Way * j) * step);
    return;
  }
#pragma unroll
  for (int j = 0; j < tokens_fetched; ++j) {
    const int i = first + Way * j;
    to[j] = i >= 0 && i < count ? __ldg(chunk + i * step) : 0;
  }
}

/// A factor v at one token, of a thread's states; 0 where there is none.
template <int States>
__device__ inline void read_states(float (&to)[States], const float* from, int step, std::uint32_t states,
                                   const chunk_place& p, std::uint32_t groups, bool exists) {
#pragma unroll
  for (int i = 0; i < States; ++i) {
    const std::uint32_t n = state_of<States>(i, p.group, groups);
    to[i] = exists && n < states ? __ldg(from + static_cast<int>(n) * step) : 0;
  }
}
template <int States>
__device__ inline void read_staged(float (&to)[States], const float* row, const chunk_place& p, std::uint32_t groups) {
  if constexpr (States % 4 == 0) {
#pragma unroll
    for (int i = 0; i < States; i += 4) {
      const float4 four = *reinterpret_cast<const float4*>(row + i * groups + p.group * 4);
      to[i] = four.x, to[i + 1] = four.y, to[i + 2] = four.z, to[i + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int i = 0; i < States; ++i) to[i] = row[state_of<States>(i, p.group, groups)];
  }
}
/// Logarithms to base 2 for the card's exponentials.
__device__ inline float to_base_2(float v) { return fmaxf(v, lowest_decay) * log2_e; }
template <int States>
__device__ inline void to_base_2(float (&v)[States]) {
#pragma unroll
  for (float& one : v) one = to_base_2(one);
}

__device__ inline float4 four_states(const float* from, int step, int n, int states, bool in_one) {
  if (in_one && n + 4 <= states) return __ldg(reinterpret_cast<const float4*>(from + n));
  const auto one = [&](int k) { return n + k < states ? __ldg(from + (n + k) * step) : 0; };
  return {one(0), one(1), one(2), one(3)};
}
/// Rows of one factor v into shared memory, one for every step; 0 outside of the chunk and after the last state.
template <bool Logarithms>
__device__ inline void stage(float* to, int width, const float* chunk, int token, int state, int first, int way,
                             int count, const chunked_recurrence& s) {
  const int shift = __ffs(width) - 3, all = static_cast<int>(s.staged) * width / 4;  // the width is a power of two
  const bool in_one = state == 1 && token % 4 == 0 && reinterpret_cast<std::uintptr_t>(chunk) % 16 == 0;
  for (int e = static_cast<int>(threadIdx.x); e < all; e += chunk_threads) {
    const int i = first + way * (e >> shift), n = e * 4 & (width - 1);
    float4 four{};
    if (i >= 0 && i < count) four = four_states(chunk + i * token, state, n, static_cast<int>(s.states), in_one);
    if constexpr (Logarithms) four = {to_base_2(four.x), to_base_2(four.y), to_base_2(four.z), to_base_2(four.w)};
    reinterpret_cast<float4*>(to)[e] = four;
  }
}

/// The streams of some tokens, read before they are needed.
struct fetched final {
  float decay[tokens_fetched], write[tokens_fetched], x[tokens_fetched], read[tokens_fetched];
};

/// One thread's streams of one chunk, step after step: forwards, or backwards for what a chunk adds to the state, which
/// needs nothing that reads it.
template <int States, factors_from From, bool Logarithmic, bool Ends>
struct chunk_streams final {
  static constexpr int way = Ends ? -1 : 1;
  static constexpr int decays = From == factors_from::shared_but_for_one_decay ? 1 : States;

  const chunked_recurrence& s;
  const chunk_place& p;
  int count, first_decay, first_write;
  const float* from[controls];
  float decay[decays], write[States], read[States];  ///< the factors v of this step

  __device__ chunk_streams(const chunked_recurrence& of, const chunk_place& place, const places<controls + 2>& at)
      : s(of), p(place) {
    const std::uint64_t begin = static_cast<std::uint64_t>(p.chunk) * s.length;
    count = static_cast<int>(min(static_cast<std::uint64_t>(s.length), s.tokens - begin));
    // Backwards, a write comes after the decay of the token that follows, or of its own where a step writes first.
    first_decay = Ends ? count - 1 + (s.decay_lags == s.write_lags) : -static_cast<int>(s.decay_lags);
    first_write = Ends ? count - 1 : -static_cast<int>(s.write_lags);
#pragma unroll
    for (int c = 0; c < controls; ++c) from[c] = s.from[c] + at.at[c] + static_cast<std::int64_t>(begin) * s.token[c];
    if constexpr (keeps_decays<From>) from_memory(decay_v, decay, 0);
    if constexpr (keeps_decays<From> && Logarithmic) to_base_2(decay);
    if constexpr (keeps_all<From>) {
      from_memory(write_v, write, 0);
      if constexpr (!Ends) from_memory(read_v, read, 0);
    }
  }

  /// The first or last may take only the decay of a token.
  __device__ int steps() const { return count + (Ends ? s.decay_lags == s.write_lags : s.chunks == 1 && s.decay_lags); }
  __device__ fetched fetch_from(int k) const {
    fetched f;
    fetch<way>(f.decay, from[decay_u], s.token[decay_u], first_decay + way * k, count);
    fetch<way>(f.write, from[write_u], s.token[write_u], first_write + way * k, count);
    fetch<way>(f.x, from[given], s.token[given], first_write + way * k, count);
    if constexpr (!Ends) fetch<way>(f.read, from[read_u], s.token[read_u], k, count);
    return f;
  }
  /// Of the steps from k on. All threads of a block come here.
  __device__ void stage_from(int k, float* rows) const {
    const std::uint32_t factor = s.staged * States * s.groups;
    const auto rows_of = [&](auto logarithms, control c, float* to, int first) {
      stage<decltype(logarithms)::value>(to, States * s.groups, from[c], s.token[c], s.state[c], first, way, count, s);
    };
    __syncthreads();
    rows_of(std::false_type{}, write_v, rows, first_write + way * k);
    if constexpr (!Ends) rows_of(std::false_type{}, read_v, rows + factor, k);
    if constexpr (!keeps_decays<From>)
      rows_of(std::bool_constant<Logarithmic>{}, decay_v, rows + 2 * factor, first_decay + way * k);
    __syncthreads();
  }
  /// Of step k.
  __device__ void take(int k, const float* rows) {
    if constexpr (shares<From>) {
      const std::uint32_t width = States * s.groups, factor = s.staged * width;
      const float* const here = rows + (k & (s.staged - 1)) * width;
      read_staged(write, here, p, s.groups);
      if constexpr (!Ends) read_staged(read, here + factor, p, s.groups);
      if constexpr (!keeps_decays<From>) read_staged(decay, here + 2 * factor, p, s.groups);
    } else if constexpr (!keeps_all<From>) {
      from_memory(write_v, write, first_write + way * k);
      if constexpr (!Ends) from_memory(read_v, read, k);
      from_memory(decay_v, decay, first_decay + way * k);
      if constexpr (Logarithmic) to_base_2(decay);
    }
  }

 private:
  template <int N>
  __device__ void from_memory(control c, float (&to)[N], int token) const {
    read_states(to, from[c] + token * s.token[c], s.state[c], s.states, p, s.groups, token >= 0 && token < count);
  }
};

}  // namespace alphaform::cuda

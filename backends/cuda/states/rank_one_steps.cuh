// A recurrence with transition Diag(a) + p q' token by token. Lanes are what x and y have and no control has: those of
// one head share its rows. In every block one half of the threads holds states and takes the steps of a chunk of
// tokens; the other half multiplies out the rows of the next chunk and adds up the results of the chunk before.
#pragma once
#include <alphaform/backends/cuda/launch.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>
#include <cmath>

namespace alphaform::cuda {

/// What happens to the state h at a token: h <- A h, h <- h + b x, y = c h, in this or another order.
enum class turn { transit_write_read, read_transit_write, write_read_transit };

/// Factors u v of the rows that a token has.
enum row : int { change_row, write_row, read_row, correct_row, probe_row, rows };
/// What lies at each head's own place: u and v of each row, x, h and y.
enum head_operand : int { input = 2 * rows, state, result, head_operands };

struct rank_one_scan final {
  layout<head_operands> heads;
  layout<3> lanes;  ///< of one head: x, h, y
  const float* from[2 * rows];
  std::int64_t token[2 * rows], state_step[2 * rows];
  const float* x;
  float *h, *y;
  std::int64_t x_token, y_token, h_state;
  std::uint64_t tokens;
  std::uint32_t states, lane_blocks;
  bool logarithmic;
};

constexpr int scan_threads = 128;  ///< that take steps, and as many beside them

/// Of threads that hold a lane's states, Each of them.
template <int Parts, int Each>
struct rank_one_shape final {
  static constexpr int width = Parts * Each;  ///< of a row
  static constexpr int lanes = scan_threads / Parts;
  static constexpr int chunk = width >= 1024 ? 1 : 1024 / width < 16 ? 1024 / width : 16;
  static constexpr int row_numbers = rows * chunk * width, input_numbers = chunk * lanes,
                       result_numbers = chunk * scan_threads;
  static constexpr int numbers = row_numbers + input_numbers + result_numbers;  ///< of a chunk; there are two
  /// The thread that holds a state and its place there: neighbours hold neighbouring quadruples.
  static __device__ int number(int part, int i) { return (i / 4 * Parts + part) * 4 + i % 4; }
};

/// Rows and inputs of one chunk, for the other threads of the block; 0 beyond the last state.
template <class Shape>
__device__ void stage(const rank_one_scan& s, const float* const* factors, const float* const* x, std::uint64_t chunk,
                      float* to) {
  const std::uint64_t first = chunk * Shape::chunk;
  if (first >= s.tokens) return;
  const int thread = static_cast<int>(threadIdx.x) - scan_threads;
  const int count = static_cast<int>(min(static_cast<std::uint64_t>(Shape::chunk), s.tokens - first));
  for (int r = 0; r < rows; ++r) {
    const float *const u = factors[2 * r], *const v = factors[2 * r + 1];
#pragma unroll 4
    for (int i = thread; i < count * Shape::width; i += scan_threads) {
      const auto token = static_cast<std::int64_t>(first) + i / Shape::width, n = std::int64_t{i % Shape::width};
      float value = 0;
      if (n < s.states)
        value = __ldg(u + token * s.token[2 * r] + n * s.state_step[2 * r]) *
                __ldg(v + token * s.token[2 * r + 1] + n * s.state_step[2 * r + 1]);
      if (r == change_row && s.logarithmic) value = isnan(value) ? 0 : expm1f(value);  // 0 times -infinity is 0
      to[r * Shape::chunk * Shape::width + i] = value;
    }
  }
  for (int i = thread; i < count * Shape::lanes; i += scan_threads) {
    const float* const lane = x[i % Shape::lanes];
    to[Shape::row_numbers + i] =
        lane == nullptr ? 0 : __ldg(lane + (static_cast<std::int64_t>(first) + i / Shape::lanes) * s.x_token);
  }
}

/// Results of one chunk from what each thread's states have added to them.
template <int Parts, class Shape>
__device__ void put_results(const rank_one_scan& s, float* const* y, std::uint64_t chunk, const float* from) {
  const std::uint64_t first = chunk * Shape::chunk;
  const int thread = static_cast<int>(threadIdx.x) - scan_threads;
  const int count = static_cast<int>(min(static_cast<std::uint64_t>(Shape::chunk), s.tokens - first));
  for (int i = thread; i < count * Shape::lanes; i += scan_threads) {
    float* const lane = y[i % Shape::lanes];
    if (lane == nullptr) continue;
    float sum = 0;
#pragma unroll
    for (int k = 0; k < Parts; ++k) sum += from[i * Parts + k];
    lane[(static_cast<std::int64_t>(first) + i / Shape::lanes) * s.y_token] = sum;
  }
}

template <int Parts>
__device__ inline float sum_of_parts(float x) {
#pragma unroll
  for (int k = 1; k < Parts; k *= 2) x += __shfl_xor_sync(0xffffffffu, x, k);
  return x;
}

/// One thread's entries of a row, four at a time.
template <int Parts, int Each>
__device__ inline void take_row(const float* row, int part, float (&to)[Each]) {
#pragma unroll
  for (int i = 0; i < Each; i += 4) {
    const float4 some = *reinterpret_cast<const float4*>(row + (i / 4 * Parts + part) * 4);
    to[i] = some.x, to[i + 1] = some.y, to[i + 2] = some.z, to[i + 3] = some.w;
  }
}
template <int Each>
__device__ inline float dot(const float (&a)[Each], const float (&b)[Each]) {
  float even = 0, odd = 0;
#pragma unroll
  for (int i = 0; i < Each; i += 2) even = fmaf(a[i], b[i], even), odd = fmaf(a[i + 1], b[i + 1], odd);
  return even + odd;
}

template <turn Order, int Parts, int Each>
__device__ void take_steps(int count, const float* shared, float* results, float (&h)[Each]) {
  using shape = rank_one_shape<Parts, Each>;
  const int part = static_cast<int>(threadIdx.x) % Parts, lane = static_cast<int>(threadIdx.x) / Parts;
#pragma unroll 2
  for (int t = 0; t < count; ++t) {
    float change[Each], write[Each], read[Each], correct[Each], probe[Each];
    const auto take = [&](row r, float(&to)[Each]) {
      take_row<Parts>(shared + (r * shape::chunk + t) * shape::width, part, to);
    };
    take(change_row, change), take(write_row, write), take(read_row, read);
    take(correct_row, correct), take(probe_row, probe);
    const float x = shared[shape::row_numbers + t * shape::lanes + lane];
    if constexpr (Order == turn::write_read_transit) {
#pragma unroll
      for (int i = 0; i < Each; ++i) h[i] = fmaf(write[i], x, h[i]);
    }
    const float measured = sum_of_parts<Parts>(dot(probe, h));
    float y = 0;
    if constexpr (Order != turn::transit_write_read) y = dot(read, h);
#pragma unroll
    for (int i = 0; i < Each; ++i) {
      h[i] = fmaf(correct[i], measured, fmaf(change[i], h[i], h[i]));
      if constexpr (Order != turn::write_read_transit) h[i] = fmaf(write[i], x, h[i]);
    }
    if constexpr (Order == turn::transit_write_read) y = dot(read, h);
    results[t * scan_threads + threadIdx.x] = y;
  }
}

template <turn Order, int Parts, int Each>
__global__ void __launch_bounds__(2 * scan_threads, 1) rank_one_steps(const rank_one_scan s) {
  using shape = rank_one_shape<Parts, Each>;
  __shared__ const float *factors[2 * rows], *lane_x[shape::lanes];
  __shared__ float* lane_y[shape::lanes];
  float* const shared = shared_memory<float>();
  const places<head_operands> head = places_of(s.heads, blockIdx.x / s.lane_blocks);
  const bool steps = threadIdx.x < scan_threads;
  const int part = static_cast<int>(threadIdx.x) % Parts, own = static_cast<int>(threadIdx.x) % scan_threads / Parts;
  const std::uint64_t lane = std::uint64_t{blockIdx.x % s.lane_blocks} * shape::lanes + own;
  const bool idle = lane >= s.lanes.entries;
  const places<3> at = places_of(s.lanes, idle ? 0 : lane);
  if (steps && part == 0) {
    lane_x[own] = idle ? nullptr : s.x + head.at[input] + at.at[0];
    lane_y[own] = idle ? nullptr : s.y + head.at[result] + at.at[2];
  }
  if (threadIdx.x == 0) {
#pragma unroll
    for (int k = 0; k < 2 * rows; ++k) factors[k] = s.from[k] + head.at[k];
  }
  float* const states = s.h + head.at[state] + at.at[1];
  const auto holds = [&](int i) { return steps && !idle && shape::number(part, i) < static_cast<int>(s.states); };
  float h[Each];
#pragma unroll
  for (int i = 0; i < Each; ++i) h[i] = holds(i) ? states[shape::number(part, i) * s.h_state] : 0;
  __syncthreads();

  const std::uint64_t chunks = (s.tokens + shape::chunk - 1) / shape::chunk;
  const auto buffer = [&](std::uint64_t chunk) { return shared + (chunk & 1) * shape::numbers; };
  constexpr int results = shape::row_numbers + shape::input_numbers;
  if (!steps) stage<shape>(s, factors, lane_x, 0, buffer(0));
  __syncthreads();
  for (std::uint64_t c = 0; c < chunks; ++c) {
    if (steps) {
      const std::uint64_t left = s.tokens - c * shape::chunk;
      const int count = left < shape::chunk ? static_cast<int>(left) : shape::chunk;
      take_steps<Order, Parts>(count, buffer(c), buffer(c) + results, h);
    } else {
      if (c > 0) put_results<Parts, shape>(s, lane_y, c - 1, buffer(c - 1) + results);
      stage<shape>(s, factors, lane_x, c + 1, buffer(c + 1));
    }
    __syncthreads();
  }
  if (!steps) put_results<Parts, shape>(s, lane_y, chunks - 1, buffer(chunks - 1) + results);
#pragma unroll
  for (int i = 0; i < Each; ++i)
    if (holds(i)) states[shape::number(part, i) * s.h_state] = h[i];
}

}  // namespace alphaform::cuda

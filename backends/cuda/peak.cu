// Running maxima y_t = max(y_{t-1} + l_t, k_t) in chunks of tokens: each chunk alone first, as the map
// p -> max(p + sum of l, most), then what comes in from the chunks before, then the tokens of all chunks at once. Sums
// are double: thousands of steps of 1e-6 round away beside a large key.
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/launch.cuh>
#include <cmath>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;
constexpr unsigned threads = 128;

/// Operands of the layout are l, k and y of one token.
struct maxima final {
  layout<3> lanes;
  std::int64_t tokens, chunk, chunks, l_token, k_token, y_token;
  const float *l, *k;
  float* y;
};

__device__ inline double larger_of(double a, double b) { return a < b ? b : a; }

/// Calls f(l_t, k_t, t) for the tokens of a chunk in order; a few are read ahead.
template <class F>
__device__ inline void for_tokens(const maxima& m, const places<3>& at, std::int64_t chunk, F f) {
  constexpr int ahead = 8;
  const float *const l = m.l + at.at[0], *const k = m.k + at.at[1];
  const std::int64_t begin = chunk * m.chunk, end = min(begin + m.chunk, m.tokens);
  std::int64_t t = begin;
  for (; t + ahead <= end; t += ahead) {
    float steps[ahead], keys[ahead];
#pragma unroll
    for (int r = 0; r < ahead; ++r) steps[r] = l[(t + r) * m.l_token], keys[r] = k[(t + r) * m.k_token];
#pragma unroll
    for (int r = 0; r < ahead; ++r) f(steps[r], keys[r], t + r);
  }
  for (; t < end; ++t) f(l[t * m.l_token], k[t * m.k_token], t);
}

/// The chunk and the lane of a thread; false beyond the last.
__device__ inline bool place_of(const maxima& m, std::int64_t& chunk, std::int64_t& lane) {
  const auto lanes = static_cast<std::int64_t>(m.lanes.entries);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  chunk = i / lanes, lane = i - chunk * lanes;
  return chunk < m.chunks;
}

/// Of each chunk the sum of l and what it ends with if nothing comes in, [chunk, lane].
__global__ void chunks_alone(const maxima m, double* sums, double* most) {
  std::int64_t chunk, lane;
  if (!place_of(m, chunk, lane)) return;
  double sum = 0, p = -INFINITY;
  for_tokens(m, places_of(m.lanes, lane), chunk, [&](float l, float k, std::int64_t t) {
    sum += l;
    p = t == 0 ? k : larger_of(p + l, k);
  });
  const std::int64_t to = chunk * static_cast<std::int64_t>(m.lanes.entries) + lane;
  sums[to] = sum, most[to] = p;
}

/// What each chunk ends with, in the place of `most`.
__global__ void chunks_joined(std::int64_t lanes, std::int64_t chunks, const double* sums, double* most) {
  constexpr int ahead = 8;
  const std::int64_t lane = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (lane >= lanes) return;
  double p = most[lane];
  for (std::int64_t first = 1; first < chunks; first += ahead) {
    double sum[ahead], alone[ahead];
#pragma unroll
    for (int r = 0; r < ahead; ++r) {
      const std::int64_t at = min(first + r, chunks - 1) * lanes + lane;
      sum[r] = sums[at], alone[r] = most[at];
    }
#pragma unroll
    for (int r = 0; r < ahead; ++r) {
      if (first + r >= chunks) break;
      p = larger_of(p + sum[r], alone[r]);
      most[(first + r) * lanes + lane] = p;
    }
  }
}

/// y of all tokens; `ends` is what chunks end with.
__global__ void tokens_of_chunks(const maxima m, const double* ends) {
  std::int64_t chunk, lane;
  if (!place_of(m, chunk, lane)) return;
  const auto at = places_of(m.lanes, lane);
  float* const y = m.y + at.at[2];
  double p = chunk == 0 ? -INFINITY : ends[(chunk - 1) * static_cast<std::int64_t>(m.lanes.entries) + lane];
  for_tokens(m, at, chunk, [&](float l, float k, std::int64_t t) {
    p = t == 0 ? k : larger_of(p + l, k);
    y[t * m.y_token] = static_cast<float>(p);
  });
}

/// Long enough that few chunks follow each other, short enough that there are threads for the card.
std::int64_t chunk_length(std::int64_t tokens, std::int64_t lanes) {
  constexpr std::int64_t enough_threads = 1 << 18, shortest = 64;
  const auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(tokens)));
  return std::max({shortest, root, tokens * lanes / enough_threads});
}

}  // namespace

void peak(in log_decay, in key, out y) {
  if (volume(y.size) == 0) return;
  extents one_token = y.size;
  at(one_token, time) = 1;
  const auto step = [](const auto& v) { return static_cast<std::int64_t>(v.step(time)); };
  const auto lanes = layout_of(one_token, log_decay, key, y);
  const auto tokens = static_cast<std::int64_t>(y.of(time)), width = static_cast<std::int64_t>(lanes.entries);
  const std::int64_t chunk = chunk_length(tokens, width), chunks = (tokens + chunk - 1) / chunk;
  const maxima m{lanes, tokens, chunk, chunks, step(log_decay), step(key), step(y), log_decay.data, key.data, y.data};
  const auto blocks = [](std::int64_t n) { return dim3(static_cast<unsigned>((n + threads - 1) / threads)); };
  const bool alone = chunks == 1;
  const scratch<double> sums(alone ? 1 : chunks * width), ends(alone ? 1 : chunks * width);
  if (!alone) {
    launch(chunks_alone, blocks(chunks * width), dim3(threads), 0, m, sums.data(), ends.data());
    launch(chunks_joined, blocks(width), dim3(threads), 0, width, chunks, sums.data(), ends.data());
  }
  launch(tokens_of_chunks, blocks(chunks * width), dim3(threads), 0, m, ends.data());
}

}  // namespace alphaform::cuda

#include <alphaform/backends/cuda/launch.cuh>
#include <alphaform/backends/cuda/parts.hpp>
#include <alphaform/backends/cuda/tf32.cuh>

namespace alphaform::cuda {
namespace {

constexpr unsigned threads = 256, lines = 4;  // of a thread

/// Calls f(along, line) for every other number along every line; those of a line follow each other in memory.
template <class F>
__device__ inline void each_pair(std::int64_t length, std::int64_t count, F f) {
  const std::int64_t along = 2 * (static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x);
  if (along >= length) return;
  for (std::int64_t line = std::int64_t{blockIdx.y} * lines; line < count; line += std::int64_t{gridDim.y} * lines)
#pragma unroll
    for (unsigned j = 0; j < lines; ++j)
      if (line + j < count) f(along, line + j);
}
/// Numbers of a vector if they are deep, else of all vectors at one place; 0 outside.
template <bool Deep>
__device__ inline float number_at(const vectors& v, std::int64_t along, std::int64_t line) {
  const std::int64_t vector = Deep ? line : along, k = Deep ? along : line;
  return vector < v.count && k < v.depth ? v.at[vector * v.step + k * v.depth_step] : 0.0f;
}

template <bool Deep>
__global__ void split(const vectors v, bool left, std::int64_t piece, std::int64_t length, std::int64_t count,
                      float* to) {
  const std::int64_t step = Deep ? 3 * length : length;
  each_pair(length, count, [&](std::int64_t along, std::int64_t line) {
    const auto one = tf32::halves::of(number_at<Deep>(v, along, line)),
               other = tf32::halves::of(number_at<Deep>(v, along + 1, line));
    const std::int64_t k = Deep ? along : line, of_piece = k / piece * (3 * piece) + k % piece,
                       first = Deep ? line * step + of_piece : of_piece * step + along;
    const float2 large{__uint_as_float(one.large), __uint_as_float(other.large)},
        small{__uint_as_float(one.small), __uint_as_float(other.small)};
    const std::int64_t next = Deep ? piece : piece * step;
    *reinterpret_cast<float2*>(to + first) = left ? large : small;
    *reinterpret_cast<float2*>(to + first + next) = left ? small : large;
    *reinterpret_cast<float2*>(to + first + 2 * next) = large;
  });
}

template <bool Deep>
__global__ void round_to_bfloat16(const vectors v, std::int64_t length, std::int64_t count, __nv_bfloat16* to) {
  each_pair(length, count, [&](std::int64_t along, std::int64_t line) {
    *reinterpret_cast<__nv_bfloat162*>(to + line * length + along) =
        __floats2bfloat162_rn(number_at<Deep>(v, along, line), number_at<Deep>(v, along + 1, line));
  });
}

/// For so many lines of that length.
dim3 blocks_of(std::int64_t length, std::int64_t count) {
  const std::int64_t wide = (length / 2 + threads) / threads, tall = (count + lines - 1) / lines;
  return {static_cast<unsigned>(wide), static_cast<unsigned>(std::min<std::int64_t>(tall, 65535))};
}

}  // namespace

void in_tf32_parts(const vectors& v, bool left, std::int64_t piece, std::int64_t pieces, float* to) {
  const std::int64_t deep = piece * pieces, length = v.deep() ? deep : padded(v.count),
                     count = v.deep() ? v.count : deep;
  launch(v.deep() ? split<true> : split<false>, blocks_of(length, count), dim3(threads), 0, v, left, piece, length,
         count, to);
}

void in_bfloat16(const vectors& v, __nv_bfloat16* to) {
  const std::int64_t length = padded(v.deep() ? v.depth : v.count), count = v.deep() ? v.count : v.depth;
  launch(v.deep() ? round_to_bfloat16<true> : round_to_bfloat16<false>, blocks_of(length, count), dim3(threads), 0, v,
         length, count, to);
}

}  // namespace alphaform::cuda

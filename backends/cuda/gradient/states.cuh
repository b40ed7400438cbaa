// The states before each chunk of tokens, and those of the transpose behind it: what every chunk adds to them alone,
// and then from chunk to chunk.
#pragma once
#include <alphaform/backends/cuda/gradient/tile.cuh>

namespace alphaform::cuda {

/// What `faded` takes for log a <= 0: a - 1 where a is close to 1, as rounding a would be the same error at every
/// token, or else a, which is positive; -1 for 0.
__device__ inline float change_of(float log) {
  constexpr float ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f, whole = 12582912.0f;  // 1.5 2^23
  if (isnan(log)) log = 0;                                                                 // 0 times -infinity
  const float shifted = fmaf(log, 1.44269504f, whole), n = shifted - whole;
  const float r = fmaf(n, -ln2_low, fmaf(n, -ln2_high, log));
  float q = fmaf(r, 1 / 5040.0f, 1 / 720.0f);
  q = fmaf(r, q, 1 / 120.0f), q = fmaf(r, q, 1 / 24.0f), q = fmaf(r, q, 1 / 6.0f), q = fmaf(r, q, 0.5f);
  const float change = fmaf(r * r, q, r);                                            // e^r - 1
  const float power = __int_as_float((__float_as_int(shifted) << 23) + 0x3f800000);  // 2^n
  const float decay = log < -87.0f ? -1 : fmaf(change, power, power);
  return n == 0 && log <= 0 ? change : decay;
}
/// Changes above this are the decay itself.
__device__ inline float largest_change(bool logarithmic) { return logarithmic ? 0 : INFINITY; }
__device__ inline float faded(float change, float largest, float h) {
  return fmaf(change, h, change > largest ? 0 : h);
}

/// The decay of a whole chunk: h <- kept h + added h.
struct chunk_decay final {
  float kept, added;
};
/// How the decays of a chunk are multiplied.
struct decay_product final {
  float sum = 0;      ///< of the logarithms; or the product less 1
  float product = 1;  ///< good enough for one chunk

  __device__ float step(bool logarithmic, float decay) {
    float change = decay;
    if (logarithmic) {
      change = change_of(decay);
      sum += isnan(decay) ? 0 : decay;
    } else {
      sum = fmaf(change, sum, sum) + change;
    }
    product = faded(change, largest_change(logarithmic), product);
    return change;
  }
  __device__ chunk_decay all(bool logarithmic) const {
    if (!logarithmic) return fabsf(sum) <= 0.5f ? chunk_decay{1, sum} : chunk_decay{0, product};
    const float change = change_of(sum);
    if (change == -1) return {0, 0};
    return {change > 0 ? 0.0f : 1.0f, change};
  }
};

/// Of each pair of a lane and a state, by chunk and tile: the decay, and what h after the chunk and z before it are
/// made of by the chunk itself.
template <class Shape, bool Varying>
__global__ void __launch_bounds__(tile_threads, 4)
    chunks_alone(const tiled_recurrence r, chunk_decay* decay, float* h, float* z) {
  __shared__ staged_tile<Shape> staged;
  const tile_place p = place_of<Shape>(r.grid, blockIdx.x);
  stage(r, p, staged);
  const float largest = largest_change(r.logarithmic);
#pragma unroll 1
  for (int j = 0; j < Shape::pairs_each; ++j) {
    const int number = static_cast<int>(threadIdx.x) + j * tile_threads;
    const tile_pair<Shape, Varying> pair(r, p, staged, number);
    decay_product decays;
    float forward = 0, back = 0;
#pragma unroll 4
    for (int t = 0; t < p.tokens; ++t) {
      const float weight = decays.product;
      const float change = decays.step(r.logarithmic, pair.at(r, staged, term::decay, t));
      back = fmaf(r.exclusive ? weight : decays.product, pair.at(r, staged, term::read, t), back);
      forward = faded(change, largest, forward) + pair.at(r, staged, term::write, t);
    }
    const std::uint64_t to = std::uint64_t{blockIdx.x} * Shape::pairs + number;
    decay[to] = decays.all(r.logarithmic);
    h[to] = forward;
    z[to] = back;
  }
}

/// A number that many small ones are added to: what its rounding lost is kept.
struct carried final {
  float high = 0, low = 0;

  __device__ void step(chunk_decay a, float plus) {
    const float base = a.kept * high, change = fmaf(a.added, high, fmaf(a.added, low, fmaf(a.kept, low, plus)));
    high = base + change;
    const float of_change = high - base;
    low = (base - (high - of_change)) + (change - of_change);
  }
};

/// In place: h before every chunk, from the first on, and z behind it, from the last.
__global__ void __launch_bounds__(tile_threads)
    chunks_joined(std::uint64_t chunks, std::uint64_t pairs, const chunk_decay* decay, float* h, float* z) {
  constexpr int at_once = 8;
  const std::uint64_t pair = std::uint64_t{blockIdx.x} * tile_threads + threadIdx.x;
  if (pair >= pairs) return;
  const bool back = blockIdx.y == 1;
  float* const states = back ? z : h;
  carried state;
  for (std::uint64_t c = 0; c < chunks; c += at_once) {
    chunk_decay a[at_once];
    float plus[at_once];
    const auto place = [&](int j) { return (back ? chunks - 1 - (c + j) : c + j) * pairs + pair; };
#pragma unroll
    for (int j = 0; j < at_once; ++j)
      if (c + j < chunks) a[j] = decay[place(j)], plus[j] = states[place(j)];
#pragma unroll
    for (int j = 0; j < at_once; ++j)
      if (c + j < chunks) {
        states[place(j)] = state.high;
        state.step(a[j], plus[j]);
      }
  }
}

}  // namespace alphaform::cuda

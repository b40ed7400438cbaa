// Decays that all states of a head have in common, between any two places of a chunk: differences of sums in double.
#pragma once
#include <alphaform/backends/cuda/heads/head.cuh>

namespace alphaform::cuda {

/// Of the decay of each token.
struct logarithms final {
  double log[head_tokens];
  bool negative[head_tokens];
  /// @param u, v  the factors of its logarithm, or of a - 1
  __device__ void set(unsigned i, bool exists, float u, float v, bool logarithmic) {
    const double a = 1 + static_cast<double>(u * v);
    log[i] = !exists       ? 0
             : logarithmic ? fmaxf(u, -1e30f) * fmaxf(v, -1e30f)  // in place of -infinity what with 0 makes 0
                           : ::log(fabs(a));
    negative[i] = exists && !logarithmic && a < 0;
  }
};

/// Logarithms of decays summed from the chunk's beginning, before each token and after the last. A decay that float
/// rounds to 0 is counted instead, as differences of sums could not undo it; so is the sign.
struct log_sums final {
  double sum[head_tokens + 1];
  short resets[head_tokens + 1], signs[head_tokens + 1];

  /// By the first warp.
  __device__ void fill(const logarithms& of) {
    if (threadIdx.x >= 32) return;
    double s = 0;
    int r = 0, n = 0;
    if (threadIdx.x == 0) sum[0] = 0, resets[0] = signs[0] = 0;
#pragma unroll
    for (unsigned first = 0; first < head_tokens; first += 32) {
      const unsigned i = first + threadIdx.x;
      const bool reset = of.log[i] < -104;
      double here = reset ? 0 : of.log[i];
      int here_r = reset, here_n = of.negative[i];
#pragma unroll
      for (unsigned apart = 1; apart < 32; apart *= 2) {
        const double before = __shfl_up_sync(0xffffffffu, here, apart);
        const int before_r = __shfl_up_sync(0xffffffffu, here_r, apart),
                  before_n = __shfl_up_sync(0xffffffffu, here_n, apart);
        if (threadIdx.x >= apart) here += before, here_r += before_r, here_n += before_n;
      }
      sum[i + 1] = s + here;
      resets[i + 1] = static_cast<short>(r + here_r);
      signs[i + 1] = static_cast<short>(n + here_n);
      s += __shfl_sync(0xffffffffu, here, 31);
      r += __shfl_sync(0xffffffffu, here_r, 31);
      n += __shfl_sync(0xffffffffu, here_n, 31);
    }
  }
  __device__ float sign(unsigned from, unsigned to) const { return ((signs[to] - signs[from]) & 1) != 0 ? -1 : 1; }
  /// The product of the decays from one place to a later one.
  __device__ float between(unsigned from, unsigned to) const {
    return resets[from] == resets[to] ? sign(from, to) * expf(static_cast<float>(sum[to] - sum[from])) : 0;
  }
  /// The power of 2 that the decays before a place are, so that differences of float are good for bfloat16: a decay
  /// that is 0 counts as one that float rounds to 0.
  __device__ float of_2(unsigned to) const {
    return static_cast<float>((sum[to] - 200.0 * resets[to]) * 1.4426950408889634);
  }
  __device__ double of_all() const {
    return resets[head_tokens] == 0 ? sign(0, head_tokens) * exp(sum[head_tokens]) : 0;
  }
};

}  // namespace alphaform::cuda

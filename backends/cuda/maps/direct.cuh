// Maps of channels whose decays are exp(u v) with a v that is the same for all tokens, as in S6: what two tokens far
// apart have in common is v times a difference of sums over u, so that a tile's factors are made where they are
// multiplied, relative to the first of its rows. Below the diagonal of the map lie tiles of 128 tokens, on it a tile
// of 64, two of 32 and four of 16 for every 128, and triangles of 16.
#pragma once
#include <alphaform/backends/cuda/maps/lines.cuh>

namespace alphaform::cuda::maps {

constexpr unsigned most_direct_states = 16, most_direct_reach = 3, leaf = 16;

/// Which of 32 tokens have an infinite u, and how many before them.
struct resets_of_32 final {
  unsigned before, here;
  __device__ unsigned until(unsigned token) const { return before + __popc(here & ((1u << token % 32) - 1)); }
};

/// What a launch works on: some channels.
struct direct final {
  channels m;
  square map;
  unsigned first_channel, last_channel;
  double* sums;          ///< of u, [channel][token]: over all tokens before this one, resets left out
  resets_of_32* resets;  ///< [channel][token / 32]
  float* parts;          ///< of sums over channels

  __device__ std::size_t line(unsigned c) const { return static_cast<std::size_t>(c - first_channel) * (m.tokens + 1); }
  __device__ std::size_t resets_line(unsigned c) const {
    return static_cast<std::size_t>(c - first_channel) * (m.tokens / 32 + 1);
  }
};

/// Magnitudes beyond this make every decay 0; so do resets. Smaller ones are summed: a u of 1e11, which no step size
/// is, would cost the tokens behind it their last digits.
constexpr float most_of_sum = 1e30f;
/// -|v| in powers of 2, and exp(-|v x|) for it and a distance x >= 0.
__device__ inline float rate_of(float v) { return -1.44269504f * fabsf(v); }
__device__ inline float decay_over(float rate, float distance) {
  float x;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(rate * distance));
  return x;
}

/// Is it a map of S6, for which the functions below are: decays exp(u v) with a v that is the same for all tokens, 2 to
/// 16 states whose reads and writes have vectors that all channels share, at most 4 taps, and more than 64 tokens?
bool fits_direct(const channel_matrices<float>&, const channels&);
/// Adds the whole map [T, T] to `map`. It takes at most 52 MiB beside: sums for some channels at a time, parts of sums.
void add_directly(const channels&, const square& map);

// direct_sums.cu, direct_tiles.cu, direct_leaves.cu
void sum_up(const direct&);
void add_direct_tiles(direct);
void add_direct_leaves(direct);

}  // namespace alphaform::cuda::maps

// What the kernels of a map over channels have in common. A line is one state of one channel; tokens are cut into
// chunks of 64, and within each the decays are multiplied from its first token on for what is read, and up to its last
// one for what is written. Entry [t, s] of a channel is then the sum over its lines of read_t (decays of the chunks in
// between) write_s, with no exponent above 0.
#pragma once
#include <alphaform/backends/cuda/launch.cuh>
#include <alphaform/backends/kernels.hpp>
#include <cstdint>

namespace alphaform::cuda::maps {

constexpr unsigned chunk = 64;

/// Numbers by token, channel and state.
struct stream final {
  const float* at;
  std::int64_t token, channel, state;
  __device__ float operator()(unsigned t, unsigned c, unsigned n = 0) const {
    return __ldg(at + t * token + c * channel + n * state);
  }
};

/// Everything that is the same for the whole map.
struct channels final {
  channels(const channel_matrices<float>&, over_channels, std::size_t tokens);

  stream decay, decay_state, write, write_state, read, read_state, skip;
  const float* last_tap;
  std::int64_t tap_channel, tap_step;
  const float* weights;
  std::int64_t weight_step;
  over_channels over;
  unsigned tokens, count, states;
  unsigned reach;  ///< entry [t, s] has the filter's taps at s..s+reach
  bool filtered, logarithmic, exclusive;
  bool apart;     ///< reads and writes are each channel's own
  bool signless;  ///< one state and magnitudes: those of a product are the factors'

  __host__ __device__ bool sums() const { return over == over_channels::sum || signless; }
  __device__ float weight(unsigned c) const { return __ldg(weights + c * weight_step); }
  __device__ float tap(unsigned c, unsigned k) const {
    return filtered ? __ldg(last_tap + c * tap_channel - k * tap_step) : 1.0f;
  }
  /// log a or a - 1, where 0 times an infinity is 0.
  __device__ float change(unsigned t, unsigned c, unsigned n) const {
    const float x = decay(t, c) * decay_state(t, c, n);
    return isnan(x) ? 0.0f : x;
  }
};

/// A product of decays, as its logarithm or as what it lacks to 1: either is exact where decays are close to 1.
template <bool Logarithmic>
struct product_of_decays final {
  float x = 0;
  __device__ void extend(float change) {
    if constexpr (Logarithmic)
      x += change;
    else
      x = change == -1.0f ? -1.0f : fmaf(change, 1.0f + x, x);
  }
  __device__ float value() const { return Logarithmic ? expf(x) : 1.0f + x; }
};

__device__ inline float taken(over_channels over, float weight, float entry, float before) {
  switch (over) {
    case over_channels::sum:
      return fmaf(weight, entry, before);
    case over_channels::absolute:
      return fmaf(weight, fabsf(entry), before);
    case over_channels::positive:
      return fmaf(weight, fmaxf(entry, 0.0f), before);
    default:
      return fmaxf(weight * fabsf(entry), before);
  }
}
__device__ inline float nothing_taken(over_channels over) { return over == over_channels::maximum ? -INFINITY : 0.0f; }
__device__ inline float together(over_channels over, float a, float b) {
  return over == over_channels::maximum ? fmaxf(a, b) : a + b;
}

/// The map itself.
struct square final {
  float* at;
  std::int64_t row, column;
  __device__ float& operator()(unsigned t, unsigned s) const { return at[t * row + s * column]; }
};

/// Some channels' lines, [chunk][line][64 tokens]. Columns lie `reach` tokens before those of the chunk.
struct panels final {
  unsigned channel, lines, chunks;  ///< from this channel on; an even number of chunks
  float *rows, *columns;
  float *change, *value;  ///< of the product of a whole chunk's decays, [chunk][line]
  float* between;         ///< of decays after chunk j and before the even chunk i, [i/2 (i/2 - 1) + j][line]
};
constexpr std::size_t panel_floats_each_line(std::size_t chunks) {
  return chunks * (2 * chunk + 2) + chunks / 2 * (chunks / 2 - 1);
}

void make(const channels&, const panels&);
/// All of the map but the triangles of 64 tokens on the diagonal.
void add_tiles(const channels&, const panels&, const square& map);
/// Those triangles, and the `reach` columns before them; all columns if the reach is more than a chunk.
void add_diagonal(const channels&, const square& map);
inline bool all_on_diagonal(const channels& m) { return m.reach > chunk || m.tokens <= chunk; }

}  // namespace alphaform::cuda::maps

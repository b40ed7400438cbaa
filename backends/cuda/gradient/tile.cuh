// Tiles of the states of a recurrence: some tokens of some lanes next to each other and of some states. A block stages
// what the recurrence takes there as products of three kinds: lines [token, lane], rows [token, state], and what
// belongs to a lane's state.
#pragma once
#include <alphaform/backends/cuda/launch.cuh>
#include <cstdint>

namespace alphaform::cuda {

constexpr int tile_threads = 256;
constexpr int tile_tokens = 16;
constexpr int most_outer = 6;  ///< axes besides token, state and the one that lanes of a tile lie along

template <int Lanes>
struct tile_shape final {
  static constexpr int threads = tile_threads, pairs = 512;  ///< of a lane and a state
  static constexpr int lanes = Lanes, states = pairs / Lanes, pairs_each = pairs / threads;
  static constexpr int row = lanes + 1;  ///< odd, so that a column lies in different banks
  static constexpr int numbers = tile_tokens * states * row;
};

/// Numbers over tokens, states, the inner axis, along which lanes of a tile lie, and outer axes.
template <class T>
struct tiled final {
  T* at;
  std::int64_t token, inner, state, outer[most_outer];
};
struct tile_grid final {
  std::uint64_t tokens, chunks, tiles;  ///< tiles are those of one chunk
  std::uint32_t inner, states, inner_tiles, state_tiles;
  int outer_axes;
  std::uint32_t outer[most_outer];
};

/// What is multiplied: decay = u v, write = u v x, read = u v g.
enum class term : int { decay, write, read };
constexpr int terms = 3, term_operands = 8, back_operand = 7;
constexpr __device__ int first_operand(int of) { return of == 0 ? 0 : of == 1 ? 2 : of == 2 ? 5 : 8; }

struct tiled_recurrence final {
  tile_grid grid;
  tiled<const float> operand[term_operands];
  unsigned lines, rows, constants, varying;  ///< which operands go where; the last two have lanes and states
  bool logarithmic, exclusive;
};

/// A block's tile.
struct tile_place final {
  std::uint64_t tile;
  std::int64_t token, inner, state;  ///< the first
  int tokens, lanes, states;
  std::uint32_t outer[most_outer];
};
template <class Shape>
__device__ inline tile_place place_of(const tile_grid& g, std::uint64_t block) {
  const auto within = [](std::uint64_t all, std::int64_t first, int most) {
    const std::uint64_t left = all - first;
    return left < static_cast<std::uint64_t>(most) ? static_cast<int>(left) : most;
  };
  tile_place p{};
  const std::uint64_t chunk = block / g.tiles;
  p.tile = block - chunk * g.tiles;
  auto rest = static_cast<std::uint32_t>(p.tile);
  p.token = static_cast<std::int64_t>(chunk) * tile_tokens;
  p.state = std::int64_t{rest % g.state_tiles} * Shape::states, rest /= g.state_tiles;
  p.inner = std::int64_t{rest % g.inner_tiles} * Shape::lanes, rest /= g.inner_tiles;
#pragma unroll
  for (int a = most_outer - 1; a >= 0; --a)
    if (a < g.outer_axes) p.outer[a] = rest % g.outer[a], rest /= g.outer[a];
  p.tokens = within(g.tokens, p.token, tile_tokens);
  p.lanes = within(g.inner, p.inner, Shape::lanes);
  p.states = within(g.states, p.state, Shape::states);
  return p;
}
template <class T>
__device__ inline T* at_place(const tiled<T>& v, const tile_place& p) {
  std::int64_t offset = p.token * v.token + p.inner * v.inner + p.state * v.state;
#pragma unroll
  for (int a = 0; a < most_outer; ++a) offset += v.outer[a] * static_cast<std::int64_t>(p.outer[a]);
  return v.at + offset;
}

template <class Shape>
struct staged_tile final {
  const float* at[term_operands];
  float line[terms][tile_tokens * Shape::lanes], row[terms][tile_tokens * Shape::states];
};
/// Lines and rows are 0 for tokens, lanes and states that there are not.
template <class Shape>
__device__ void stage(const tiled_recurrence& r, const tile_place& p, staged_tile<Shape>& to) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < term_operands) to.at[thread] = at_place(r.operand[thread], p);
  __syncthreads();
#pragma unroll
  for (int k = 0; k < terms; ++k) {
    for (int i = thread; i < tile_tokens * Shape::lanes; i += Shape::threads) {
      const int t = i / Shape::lanes, l = i % Shape::lanes;
      const bool exists = t < p.tokens && l < p.lanes;
      float value = exists ? 1 : 0;
#pragma unroll
      for (int o = first_operand(k); o < first_operand(k + 1); ++o)
        if ((r.lines >> o & 1) != 0 && exists)
          value *= __ldg(to.at[o] + t * r.operand[o].token + l * r.operand[o].inner);
      to.line[k][i] = value;
    }
    for (int i = thread; i < tile_tokens * Shape::states; i += Shape::threads) {
      const int t = i / Shape::states, n = i % Shape::states;
      const bool exists = t < p.tokens && n < p.states;
      float value = exists ? 1 : 0;
#pragma unroll
      for (int o = first_operand(k); o < first_operand(k + 1); ++o)
        if ((r.rows >> o & 1) != 0 && exists)
          value *= __ldg(to.at[o] + t * r.operand[o].token + n * r.operand[o].state);
      to.row[k][i] = value;
    }
  }
  __syncthreads();
}

/// A lane's state as a thread sees it; where there is none it takes the place of another one.
/// @tparam Varying  is there an operand of tokens, lanes and states?
template <class Shape, bool Varying>
struct tile_pair final {
  int lane, state;
  bool idle;
  float constant[terms];

  __device__ tile_pair(const tiled_recurrence& r, const tile_place& p, const staged_tile<Shape>& s, int number) {
    lane = number % Shape::lanes, state = number / Shape::lanes;
    idle = lane >= p.lanes || state >= p.states;
    lane = min(lane, p.lanes - 1), state = min(state, p.states - 1);
#pragma unroll
    for (int k = 0; k < terms; ++k) constant[k] = product(r, s, k, r.constants, 0);
  }
  __device__ float at(const tiled_recurrence& r, const staged_tile<Shape>& s, term of, int t) const {
    const int k = static_cast<int>(of);
    const float value = s.line[k][t * Shape::lanes + lane] * s.row[k][t * Shape::states + state] * constant[k];
    return Varying ? value * product(r, s, k, r.varying, t) : value;
  }

 private:
  __device__ float product(const tiled_recurrence& r, const staged_tile<Shape>& s, int k, unsigned which, int t) const {
    float value = 1;
#pragma unroll
    for (int o = first_operand(k); o < first_operand(k + 1); ++o)
      if ((which >> o & 1) != 0)
        value *= __ldg(s.at[o] + t * r.operand[o].token + lane * r.operand[o].inner + state * r.operand[o].state);
    return value;
  }
};

}  // namespace alphaform::cuda

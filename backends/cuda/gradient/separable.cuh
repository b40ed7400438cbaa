// Sums for the gradients of a recurrence like Mamba's: decays exp(d_tl A_ln), writes w_tl b_tn and reads g_tl c_tn.
// Eight threads have the states of a lane, two each, and keep them for all tokens of a chunk in registers. A sum over
// states is one over these threads; of one over lanes a thread adds up what its own lanes give, and a block the rest at
// its end.
#pragma once
#include <alphaform/backends/cuda/gradient/sums.cuh>

namespace alphaform::cuda {

constexpr float lowest_log = -1e30f;  ///< of decays: 0 times it is 0

struct separable_shape final {
  static constexpr int threads = 128, lanes = 64, states = 16, pairs = lanes * states;
  static constexpr int states_each = 2, threads_a_lane = states / states_each, lanes_at_once = threads / threads_a_lane;
};

/// Four sums, or fewer; the others have no `to`. Their weights are lines, and for a sum that keeps lanes, as the first
/// two, rows of what is written or constants of what is decayed.
struct separable_sums final {
  tiled_sum written_line, decayed_line, written_row, read_row;
};

enum class factor_kind { line, row, constant, other };
__host__ __device__ inline factor_kind kind_of(const tiled<const float>& v) {
  if (v.state == 0) return factor_kind::line;
  return v.inner == 0 ? factor_kind::row : v.token == 0 ? factor_kind::constant : factor_kind::other;
}

/// 2^x with a relative error of 2^-22: for decays within a chunk. Those from chunk to chunk come from sums of
/// logarithms.
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// A thread's numbers of a tile [token, Width]: at one place along the width, every so many tokens. They are 0 where
/// there is nothing.
template <int Width>
class numbers_of_thread final {
 public:
  static constexpr int step = separable_shape::threads / Width, count = tile_tokens / step;

  __device__ numbers_of_thread(int tokens, int size)
      : place_(static_cast<int>(threadIdx.x) % Width),
        first_(static_cast<int>(threadIdx.x) / Width),
        there_(place_ < size ? tokens - first_ : 0) {
#pragma unroll
    for (int j = 0; j < count; ++j) number_[j] = exists(j) ? 1 : 0;
  }
  __device__ void times(const float* from, std::int64_t token, std::int64_t along, float lowest = -INFINITY) {
    from += place_ * along + first_ * token;
#pragma unroll
    for (int j = 0; j < count; ++j)
      if (exists(j)) number_[j] *= fmaxf(__ldg(from + j * step * token), lowest);
  }
  /// Times the sum of numbers in shared memory.
  template <int Parts>
  __device__ void times(const float (&parts)[Parts][tile_tokens * Width]) {
#pragma unroll
    for (int j = 0; j < count; ++j) {
      float sum = 0;
#pragma unroll
      for (int k = 0; k < Parts; ++k) sum += parts[k][index(j)];
      if (exists(j)) number_[j] *= sum;
    }
  }
  __device__ void store(float* shared) const {
#pragma unroll
    for (int j = 0; j < count; ++j) shared[index(j)] = number_[j];
  }
  /// Where a sum wants them, of which `to` begins with the tile's.
  __device__ void put(const tiled_sum& s, float* to, std::int64_t along) const {
#pragma unroll
    for (int j = 0; j < count; ++j) {
      if (s.parts != nullptr) {
        s.parts[std::uint64_t{blockIdx.x} * (tile_tokens * Width) + index(j)] = number_[j];
      } else if (exists(j)) {
        float* const there = to + (first_ + j * step) * s.to.token + place_ * along;
        *there = s.adds ? *there + number_[j] : number_[j];
      }
    }
  }

 private:
  __device__ bool exists(int j) const { return j * step < there_; }
  __device__ int index(int j) const { return (first_ + j * step) * Width + place_; }
  int place_, first_, there_;  ///< tokens from the first one on
  float number_[count];
};
using line_of_thread = numbers_of_thread<separable_shape::lanes>;
using row_of_thread = numbers_of_thread<separable_shape::states>;

/// Times the factors of a sum's weight that are lines, or rows; `back` is one of them if the product lacks it.
template <class Numbers>
__device__ inline void weigh(Numbers& all, factor_kind kind, const tiled_sum& s, const tiled<const float>& back,
                             const sum_place& at) {
  const auto take = [&](const tiled<const float>& v, const float* from) {
    if (kind_of(v) == kind) all.times(from, v.token, kind == factor_kind::line ? v.inner : v.state, s.lowest);
  };
  take(s.u, at.u);
  take(s.v, at.v);
  if (at.g != nullptr) take(back, at.g);
}

/// Lines and rows of the tile, as `stage` makes them, but for rows of decays, which there are none of.
__device__ inline void stage_separable(const tiled_recurrence& r, const tile_place& p,
                                       staged_tile<separable_shape>& to) {
  if (static_cast<int>(threadIdx.x) < term_operands) to.at[threadIdx.x] = at_place(r.operand[threadIdx.x], p);
  __syncthreads();
#pragma unroll
  for (int k = 0; k < terms; ++k) {
    line_of_thread line(p.tokens, p.lanes);
    row_of_thread row(p.tokens, p.states);
#pragma unroll
    for (int o = first_operand(k); o < first_operand(k + 1); ++o) {
      const tiled<const float>& v = r.operand[o];
      if ((r.lines >> o & 1) != 0) line.times(to.at[o], v.token, v.inner, k == 0 ? lowest_log : -INFINITY);
      if ((r.rows >> o & 1) != 0) row.times(to.at[o], v.token, v.state);
    }
    line.store(to.line[k]);
    row.store(to.row[k]);
  }
  __syncthreads();
}

/// A lane with the two states of a thread.
struct separable_lane final {
  int lane, pair;  ///< its place among the pairs of a tile
  float rate[2];   ///< A

  __device__ separable_lane(const tiled_recurrence& r, const tile_place& p, const staged_tile<separable_shape>& staged,
                            int lane_, int state)
      : lane(lane_), pair(lane_ * separable_shape::states + state) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      rate[i] = lane < p.lanes && state + i < p.states ? 1 : 0;
#pragma unroll
      for (int o = first_operand(0); o < first_operand(1); ++o)
        if ((r.lines >> o & 1) == 0 && rate[i] != 0)
          rate[i] *=
              fmaxf(__ldg(staged.at[o] + lane * r.operand[o].inner + (state + i) * r.operand[o].state), lowest_log);
    }
  }
};

/// The factors of a sum's weight that belong to a lane's state.
__device__ inline float constant_weight(const tiled_sum& s, const sum_place& at, int lane, int state) {
  float all = 1;
  const auto take = [&](const tiled<const float>& v, const float* from) {
    if (kind_of(v) == factor_kind::constant) all *= fmaxf(__ldg(from + lane * v.inner + state * v.state), s.lowest);
  };
  take(s.u, at.u);
  take(s.v, at.v);
  return all;
}

/// What becomes of states in each chunk alone, as `chunks_alone` tells.
__global__ void __launch_bounds__(separable_shape::threads)
    separable_chunks(const tiled_recurrence r, chunk_decay* decay, float* h, float* z) {
  using shape = separable_shape;
  constexpr float log2_e = 1.44269504f;
  __shared__ staged_tile<shape> staged;
  const tile_place p = place_of<shape>(r.grid, blockIdx.x);
  stage_separable(r, p, staged);
  const int thread = static_cast<int>(threadIdx.x), state = thread % shape::threads_a_lane * shape::states_each;
#pragma unroll 1
  for (int first = 0; first < shape::lanes; first += shape::lanes_at_once) {
    const separable_lane here(r, p, staged, first + thread / shape::threads_a_lane, state);
    float sum = 0, product[2] = {1, 1}, forward[2] = {}, back[2] = {};
#pragma unroll
    for (int t = 0; t < tile_tokens; ++t) {
      const int line = t * shape::lanes + here.lane, row = t * shape::states + state;
      const float d = staged.line[0][line], w = staged.line[1][line], g = staged.line[2][line];
      const float2 b = *reinterpret_cast<const float2*>(&staged.row[1][row]),
                   c = *reinterpret_cast<const float2*>(&staged.row[2][row]);
      sum += d;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float a = power_of_two(d * (here.rate[i] * log2_e));
        product[i] *= a;
        back[i] = fmaf(product[i], g * (i == 0 ? c.x : c.y), back[i]);
        forward[i] = fmaf(a, forward[i], w * (i == 0 ? b.x : b.y));
      }
    }
    const std::uint64_t to = std::uint64_t{blockIdx.x} * shape::pairs + here.pair;
    const chunk_decay one = decay_product{sum * here.rate[0], product[0]}.all(true),
                      other = decay_product{sum * here.rate[1], product[1]}.all(true);
    *reinterpret_cast<float4*>(decay + to) = {one.kept, one.added, other.kept, other.added};
    *reinterpret_cast<float2*>(h + to) = {forward[0], forward[1]};
    *reinterpret_cast<float2*>(z + to) = {back[0], back[1]};
  }
}

/// Each of 8 neighbouring threads has 8 numbers; thread m gets the sum of all of the m-th.
__device__ inline float sum_of_my_place(float (&v)[8], int m) {
#pragma unroll
  for (int half = 4; half > 0; half /= 2)
#pragma unroll
    for (int k = 0; k < half; ++k) {
      const bool upper = (m & half) != 0;
      v[k] = (upper ? v[k + half] : v[k]) + __shfl_xor_sync(~0u, upper ? v[k] : v[k + half], half);
    }
  return v[0];
}

struct separable_stage final {
  staged_tile<separable_shape> r;
  sum_place at[4];
  float written_by[tile_tokens * separable_shape::states];  ///< the rows of what sums over states weigh
  float over_lanes[2][tile_tokens * separable_shape::lanes];
  float lines[2][1][tile_tokens * separable_shape::lanes];  ///< results, of rows by warps
  float rows[2][separable_shape::threads / 32][tile_tokens * separable_shape::states];
};

/// What a block has in shared memory is separable_stage; decays are made again on the way back.
/// @param before, behind  h and z at the ends of each chunk, by chunk, tile and pair
__global__ void __launch_bounds__(separable_shape::threads, 3)
    sums_of_separable(const tiled_recurrence r, const separable_sums sums, const float* before, const float* behind) {
  using shape = separable_shape;
  constexpr float log2_e = 1.44269504f;
  constexpr int at_once = 8;
  __shared__ separable_stage s;
  const tile_place p = place_of<shape>(r.grid, blockIdx.x);
  const int thread = static_cast<int>(threadIdx.x), m = thread % shape::threads_a_lane, state = m * shape::states_each;
  const tiled_sum* const all[] = {&sums.written_line, &sums.decayed_line, &sums.written_row, &sums.read_row};
  stage_separable(r, p, s.r);
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (thread == k)
      s.at[k] = {at_place(all[k]->u, p), at_place(all[k]->v, p), all[k]->times_back ? s.r.at[back_operand] : nullptr,
                 at_place(all[k]->to, p)};
  __syncthreads();
  const auto is_there = [&](int k) { return all[k]->to.at != nullptr; };
  const auto weighed = [&](auto numbers, factor_kind kind, int k) {
    weigh(numbers, kind, *all[k], r.operand[back_operand], s.at[k]);
    return numbers;
  };
  const line_of_thread line(p.tokens, p.lanes), no_line(0, 0);
  const row_of_thread row(p.tokens, p.states), no_row(0, 0);
  (is_there(0) ? weighed(row, factor_kind::row, 0) : no_row).store(s.written_by);
#pragma unroll
  for (int k = 0; k < 2; ++k)
    (is_there(2 + k) ? weighed(line, factor_kind::line, 2 + k) : no_line).store(s.over_lanes[k]);
  __syncthreads();

  float over_lanes[2][tile_tokens][2] = {};
#pragma unroll 1
  for (int first = 0; first < shape::lanes; first += shape::lanes_at_once) {
    const separable_lane here(r, p, s.r, first + thread / shape::threads_a_lane, state);
    const std::uint64_t from = std::uint64_t{blockIdx.x} * shape::pairs + here.pair;
    const float2 first_h = *reinterpret_cast<const float2*>(before + from),
                 last_z = *reinterpret_cast<const float2*>(behind + from);
    float h[tile_tokens + 1][2] = {{first_h.x, first_h.y}}, z[2] = {last_z.x, last_z.y}, rate[2], decayed_by[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      rate[i] = here.rate[i] * log2_e;
      decayed_by[i] = is_there(1) && here.lane < p.lanes && state + i < p.states
                          ? constant_weight(sums.decayed_line, s.at[1], here.lane, state + i)
                          : 0;
    }
#pragma unroll
    for (int t = 0; t < tile_tokens; ++t) {
      const int line = t * shape::lanes + here.lane;
      const float d = s.r.line[0][line], w = s.r.line[1][line];
      const float2 b = *reinterpret_cast<const float2*>(&s.r.row[1][t * shape::states + state]);
#pragma unroll
      for (int i = 0; i < 2; ++i) h[t + 1][i] = fmaf(power_of_two(d * rate[i]), h[t][i], w * (i == 0 ? b.x : b.y));
    }
#pragma unroll
    for (int last = tile_tokens - at_once; last >= 0; last -= at_once) {
      float written[at_once], decayed[at_once];
#pragma unroll
      for (int j = at_once - 1; j >= 0; --j) {
        const int t = last + j, line = t * shape::lanes + here.lane, row = t * shape::states + state;
        const float d = s.r.line[0][line], g = s.r.line[2][line], of_written = s.over_lanes[0][line],
                    of_read = s.over_lanes[1][line];
        const float2 c = *reinterpret_cast<const float2*>(&s.r.row[2][row]),
                     by = *reinterpret_cast<const float2*>(&s.written_by[row]);
        written[j] = decayed[j] = 0;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const float a = power_of_two(d * rate[i]), here_z = fmaf(g, i == 0 ? c.x : c.y, z[i]);
          z[i] = a * here_z;
          written[j] = fmaf(here_z, i == 0 ? by.x : by.y, written[j]);
          decayed[j] = fmaf(z[i] * h[t][i], decayed_by[i], decayed[j]);
          over_lanes[0][t][i] = fmaf(here_z, of_written, over_lanes[0][t][i]);
          over_lanes[1][t][i] = fmaf(h[t + 1][i], of_read, over_lanes[1][t][i]);
        }
      }
      s.lines[0][0][(last + m) * shape::lanes + here.lane] = sum_of_my_place(written, m);
      s.lines[1][0][(last + m) * shape::lanes + here.lane] = sum_of_my_place(decayed, m);
    }
  }

  // Four groups of threads of a warp have the same states: each gets one half of the tokens of one sum.
  const int group = thread % 32 / shape::threads_a_lane;
#pragma unroll
  for (int t = 0; t < tile_tokens; ++t)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const bool upper = (group & 2) != 0;
      float &first = over_lanes[0][t][i], second = over_lanes[1][t][i];
      first = (upper ? second : first) + __shfl_xor_sync(~0u, upper ? first : second, 16);
    }
#pragma unroll
  for (int t = 0; t < at_once; ++t)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const bool upper = (group & 1) != 0;
      float &first = over_lanes[0][t][i], second = over_lanes[0][t + at_once][i];
      first = (upper ? second : first) + __shfl_xor_sync(~0u, upper ? first : second, 8);
      s.rows[group / 2][thread / 32][(t + group % 2 * at_once) * shape::states + state + i] = first;
    }
  __syncthreads();

#pragma unroll
  for (int k = 0; k < 2; ++k) {
    if (is_there(k)) {
      line_of_thread sum = line;
      sum.times(s.lines[k]);
      weighed(sum, factor_kind::line, k).put(*all[k], s.at[k].to, all[k]->to.inner);
    }
    if (is_there(2 + k)) {
      row_of_thread sum = row;
      sum.times(s.rows[k]);
      weighed(sum, factor_kind::row, 2 + k).put(*all[2 + k], s.at[2 + k].to, all[2 + k]->to.state);
    }
  }
}

}  // namespace alphaform::cuda

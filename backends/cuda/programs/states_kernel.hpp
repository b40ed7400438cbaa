// The kernel of a pass over an unrolled recurrence, behind what translate_states.cpp makes of a program: constants, the
// functions before and after the states, and what brings the operands of four lanes.
#pragma once
#include <string_view>

namespace alphaform::cuda {

/// Some warps follow states, others make what states need and what becomes of them, tile after tile of tokens.
///
/// Those that follow states have four lanes and 16 states, a thread two states of one lane. They go token by token;
/// what eight tokens read is added up by eight threads through shared memory. Decays and writes of the next eight
/// tokens are made meanwhile, and what those after them need is read.
///
/// The others copy operands to shared memory two tiles ahead, evaluate the program up to the states one tile ahead, and
/// behind the states two tiles later. Named barriers hand tiles on: `full` when a tile can be taken, `done` when its
/// sums are there; three of each, so that neither side overtakes itself.
///
/// Every 32 tokens a state is corrected by one that is not rounded: h <- exp(l sum a) h + what these tokens add, in
/// double, so that decays near 1 do not drift.
inline constexpr std::string_view states_kernel = R"(
struct steps { long long run, states, log_decay, write, read, h; };
constexpr int row = tile + 4, helpers = 32 * quads, followers = helpers * parts,
              threads = followers + helpers, at_once = 8, of_part = 16, ahead = 2, ring = ahead + 2, thirds = 3,
              join_lane = at_once * at_once + at_once, join = 4 * join_lane, window = tile < 32 ? tile : 32,
              brought = !write_stays + !read_stays, units = at_once * parts * brought, token_factors = 2 * units,
              some_brought = brought > 0 ? brought : 1, some_units = units > 0 ? units : 1;
constexpr int full = 1, done = full + thirds;  // barriers
constexpr int decays_at = 0, writes_at = decays_at + thirds * lanes * row, sums_at = writes_at + thirds * lanes * row,
              factors_at = sums_at + thirds * parts * lanes * row, raw_at = factors_at + ring * tile * token_factors,
              joins_at = raw_at + ring * rows * lanes * tile, dummy_at = joins_at + quads * parts * 2 * join;
static_assert(dummy_at + 32 == numbers, "states_layout::shared counts what is laid out here");
constexpr float log2_e = 1.44269504088896341f, log_2 = 0.693147180559945309f, lowest = -1e30f;

template <int N> struct constant { static constexpr int value = N; };
__device__ inline void await(int barrier) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(threads) : "memory");
}
__device__ inline void arrive(int barrier) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "n"(threads) : "memory");
}
// exp(x) for x <= 0: near 0 as 1 and a sum that keeps what a single number would round off.
__device__ inline double exponential(float x) {
  float sum = fmaf(x, 1.0f / 5040.0f, 1.0f / 720.0f);
  sum = fmaf(x, sum, 1.0f / 120.0f);
  sum = fmaf(x, sum, 1.0f / 24.0f);
  sum = fmaf(x, sum, 1.0f / 6.0f);
  sum = fmaf(x, sum, 0.5f);
  sum = fmaf(x * x, sum, x);
  const bool near = x > -0.5f;
  return (near ? 1.0 : 0.0) + (double)(near ? sum : exp2f(x * log2_e));
}
__device__ inline int after_this(int k, int count) { return k + 1 == count ? 0 : k + 1; }
template <class Number>
__device__ inline const Number* first_of(const lies& o, long long at, long long tokens) {
  return reinterpret_cast<const Number*>(o.data) + at + (back ? (tokens - 1) * o.step[8] : 0);
}

/// Lanes of this block: `find` says whether one exists, and where its operands lie; those of a lane that does not are
/// the first one's.
struct block_lanes {
  const call& c;
  const steps& n;
  unsigned columns, column;
  __device__ block_lanes(const call& c_, const steps& n_)
      : c(c_), n(n_), columns((unsigned)((n_.run + lanes - 1) / lanes)), column(blockIdx.x % columns) {}
  __device__ bool find(int lane, long long* at) const {
    const long long along = (long long)column * lanes + lane;
    const bool exists = along < n.run;
    move(c, (unsigned long long)(blockIdx.x / columns * n.run + (exists ? along : 0)), at);
    return exists;
  }
};

__device__ inline void help(const call& c, const steps& n, float* memory) {
  const int e = threadIdx.x - followers, quad = e % quads, token = e / quads;
  const block_lanes of_block(c, n);
  long long at[4][places];
  bool exists[4];
  for (int j = 0; j < 4; ++j) exists[j] = of_block.find(quad * 4 + j, at[j]);
  four_lanes operands(c, at, token);
  to_number* to[4];
  for (int j = 0; j < 4; ++j)
    to[j] = const_cast<to_number*>(first_of<to_number>(c.of[y_index], at[j][y_index], c.tokens)) + token * to_step;
  // Its tokens of a tile: each 32 after the one before.
  const auto each_token = [&](auto f) {
#pragma unroll
    for (int further = 0; further < tile; further += 32)
      if (tile % 32 == 0 || token < tile) f(token + further, further);
  };

  // Two states of a factor at a time.
  constexpr bool regular = helpers % some_units == 0;
  constexpr int all_units = tile * units;
  const int of_factors = (int)n.states;
  const float* const writes = first_of<float>(c.of[b_index], at[0][b_index], c.tokens);
  const float* const reads = first_of<float>(c.of[r_index], at[0][r_index], c.tokens);
  const auto bring_factors = [&](long long i0, int slot, int left) {
    const unsigned line = address(memory + factors_at + slot * tile * token_factors);
#pragma unroll regular ? 64 : 1
    for (int j = 0; j * helpers < all_units; ++j) {
      const int i = e + j * helpers, unit = regular ? e % some_units : i % some_units,
                t = regular ? e / some_units + j * (helpers / some_units) : i / some_units,
                which = unit % some_brought, state = unit / some_brought * 2;
      const bool is_write = !write_stays && which == 0;
      const float* const from = is_write ? writes + (i0 + t) * write_step + state * n.write
                                         : reads + (i0 + t) * read_step + state * n.read;
      int there = of_factors - state;
      there = t < left && i < all_units && there > 0 ? there > 2 ? 2 : there : 0;
      if (i < all_units || all_units % helpers == 0) {
        const unsigned place = line + 8 * i;
        if (is_write ? write_pairs : read_pairs) {
          copy8(place, from, 4 * there);
        } else {
          copy4(place, from, there > 0 ? 4 : 0);
          copy4(place + 4, from + (is_write ? n.write : n.read), there > 1 ? 4 : 0);
        }
      }
    }
  };
  const long long tiles = (c.tokens + tile - 1) / tile;
  const auto left_of = [&](long long k) { return (int)(c.tokens - k * tile < tile ? c.tokens - k * tile : tile); };
  int slot_brought = 0, slot_made = 0, slot_finished = 0, third_made = 0, third_finished = 0;
  const auto bring = [&](long long k) {
    if (k < tiles) {
      const int left = left_of(k);
      each_token([&](int t, int further) {
        const float* const place = memory + raw_at + (slot_brought * rows * tile + t) * lanes + 4 * quad;
        operands.bring(address(place), further, t < left, exists);
      });
      operands.next();
      bring_factors(k * tile, slot_brought, left);
    }
    slot_brought = after_this(slot_brought, ring);
    asm volatile("cp.async.commit_group;");
  };
  const auto make = [&](long long k) {
    each_token([&](int t, int) {
      const bool is_there = t < left_of(k);
      float v[4][values];
      operands.take(memory + raw_at + (slot_made * rows * tile + t) * lanes + 4 * quad, v);
      float* const to_a = memory + decays_at + (third_made * lanes + 4 * quad) * row + t;
      float* const to_w = to_a + (writes_at - decays_at);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        float a, w;
        before(v[j], a, w);
        a = fmaxf(a, lowest);
        to_a[j * row] = is_there ? one_decay ? a * log2_e : a : 0.0f;
        to_w[j * row] = is_there ? w : 0.0f;
      }
    });
    __syncwarp();
    slot_made = after_this(slot_made, ring);
  };
  const auto finish = [&](long long k) {
    each_token([&](int t, int further) {
      float v[4][values], result[4];
      operands.take(memory + raw_at + (slot_finished * rows * tile + t) * lanes + 4 * quad, v);
      const float* const sums = memory + sums_at + (third_finished * parts * lanes + 4 * quad) * row + t;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        float sum = sums[j * row];
        for (int p = 1; p < parts; ++p) sum += sums[(p * lanes + j) * row];
        result[j] = after(v[j], sum);
      }
      const bool is_there = t < left_of(k);
      if (to_fours) {
        const float4 all = make_float4(result[0], result[1], result[2], result[3]);
        if (is_there && exists[0]) put(to[0] + further * to_step, all);
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (is_there && exists[j]) put(to[j] + further * to_step, result[j]);
      }
    });
    __syncwarp();
    for (int j = 0; j < 4; ++j) to[j] += tile * to_step;
    slot_finished = after_this(slot_finished, ring);
  };

  for (int k = 0; k < ahead; ++k) bring(k);
  for (long long k = 0; k < tiles + 2; ++k) {
    if (k < tiles) {
      asm volatile("cp.async.wait_group %0;" ::"n"(ahead - 1) : "memory");
      make(k);
      arrive(full + third_made);
      third_made = after_this(third_made, thirds);
    }
    if (k >= 2) {
      await(done + third_finished);
      finish(k - 2);
      third_finished = after_this(third_finished, thirds);
    }
    bring(k + ahead);
  }
}

__device__ inline void follow(const call& c, const steps& n, float* memory) {
  const int warp = threadIdx.x / 32, thread = threadIdx.x % 32, quad = warp % quads, part = warp / quads,
            lane = quad * 4 + thread / at_once, m = thread % at_once, state = part * of_part + 2 * m;
  const block_lanes of_block(c, n);
  long long at[places];
  const bool has_lane = of_block.find(lane, at);
  float* const h_of = c.of[h_index].data + at[h_index];
  const auto number = [&](int index, int i, long long step, float otherwise) {
    return state + i < n.states ? c.of[index].data[at[index] + (state + i) * step] : otherwise;
  };
  // States that are not there decay, so that they stay 0.
  float l[2], now[2], made[2], b_stays[2], r_stays[2];
  float decay_before[2] = {1.0f, 1.0f};  // from the last token to the first a state decays behind its token
  double h[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    l[i] = one_decay ? 1.0f : fmaxf(number(l_index, i, n.log_decay, -1.0f), lowest) * log2_e;
    now[i] = number(h_index, i, n.h, 0.0f);
    h[i] = (double)now[i];
    made[i] = 0.0f;
    b_stays[i] = write_stays ? number(b_index, i, n.write, 0.0f) : 0.0f;
    r_stays[i] = read_stays ? number(r_index, i, n.read, 0.0f) : 0.0f;
  }

  float4 a[2][2], w[2][2];
  float b[2][at_once][2], r[2][at_once][2], decay[2][at_once][2], wrote[2][at_once][2], reads[2][at_once][2];
  const float *next_a = memory + decays_at + lane * row,
              *factors = memory + factors_at + (part * at_once + m) * 2 * brought;
  const float* const first_a = next_a, *const first_factors = factors;
  const auto read_next = [&](auto buffer) {
    constexpr int u = decltype(buffer)::value;
#pragma unroll
    for (int q = 0; q < 2; ++q) {
      a[u][q] = *reinterpret_cast<const float4*>(next_a + 4 * q);
      w[u][q] = *reinterpret_cast<const float4*>(next_a + (writes_at - decays_at) + 4 * q);
    }
#pragma unroll
    for (int j = 0; j < at_once; ++j) {
      const float* const f = factors + j * token_factors;
      if (brought == 2) {
        const float4 both = *reinterpret_cast<const float4*>(f);
        b[u][j][0] = both.x, b[u][j][1] = both.y, r[u][j][0] = both.z, r[u][j][1] = both.w;
      } else if (brought == 1) {
        const float2 one = *reinterpret_cast<const float2*>(f);
        (write_stays ? r : b)[u][j][0] = one.x, (write_stays ? r : b)[u][j][1] = one.y;
      }
    }
    next_a += at_once;
    factors += at_once * token_factors;
  };
  const auto prepare = [&](auto buffer, int j) {
    constexpr int u = decltype(buffer)::value;
    const float along = part_of(a[u][j / 4], j % 4), written = part_of(w[u][j / 4], j % 4);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      decay[u][j][i] = exp2f(one_decay ? along : along * l[i]);
      wrote[u][j][i] = written * (write_stays ? b_stays[i] : b[u][j][i]);
      reads[u][j][i] = read_stays ? r_stays[i] : r[u][j][i];
    }
  };
  // Threads m of a lane hold products of eight tokens; thread t sums those of token t, by fours from all banks.
  float* const joins = memory + joins_at + warp * 2 * join + thread / at_once * join_lane;
  const auto sum_up = [&](int u, float* to) {
    const float* const mine = joins + u * join + m * at_once;
    const int other = m >> 2 & 1;
    const float4 x = *reinterpret_cast<const float4*>(mine + 4 * other),
                 y = *reinterpret_cast<const float4*>(mine + 4 * (other ^ 1));
    *to = ((x.x + x.y) + (x.z + x.w)) + ((y.x + y.y) + (y.z + y.w));
  };
  float *own_sum = memory + sums_at + (part * lanes + lane) * row + m, *sum_before = memory + dummy_at + thread;
  float* const first_sum = own_sum;
  const auto eight = [&](auto buffer, auto other) {
    constexpr int u = decltype(buffer)::value;
    read_next(buffer);
    float* const to = joins + u * join + m;
#pragma unroll
    for (int j = 0; j < at_once; ++j) {
      prepare(other, j);
      float product = 0.0f;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float e = back ? decay_before[i] : decay[u][j][i];
        now[i] = fmaf(e, now[i], wrote[u][j][i]);
        made[i] = fmaf(e, made[i], wrote[u][j][i]);
        product = i == 0 ? reads[u][j][i] * now[i] : fmaf(reads[u][j][i], now[i], product);
        decay_before[i] = decay[u][j][i];
      }
      to[j * at_once] = product;
    }
    sum_up(u ^ 1, sum_before);
    sum_before = own_sum;
    own_sum += at_once;
    __syncwarp();
  };

  const long long tiles = (c.tokens + tile - 1) / tile;
  constant<0> even;
  constant<1> odd;
  await(full);
  read_next(even);
#pragma unroll
  for (int j = 0; j < at_once; ++j) prepare(even, j);
  read_next(odd);
  int slot = 0, third = 0, third_before = thirds - 1;
#pragma unroll 1
  for (long long k = 0; k < tiles; ++k) {
    slot = after_this(slot, ring);
    const int third_next = after_this(third, thirds);
    const float* const decays = first_a + third * lanes * row + m * (window / at_once);
    double keeps[2];
#pragma unroll
    for (int t = 0; t < tile; t += 2 * at_once) {
      if (t % window == 0) {
        float sum = 0.0f;
#pragma unroll
        for (int j = 0; j < window / at_once; ++j) sum += decays[t + j];
#pragma unroll
        for (int d = 1; d < at_once; d *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
#pragma unroll
        for (int i = 0; i < 2; ++i) keeps[i] = exponential(sum * l[i] * log_2);
      }
      if (t + 2 * at_once == tile) {  // the tile after this one is read from here on
        if (k + 1 < tiles) await(full + third_next);
        next_a = first_a + third_next * lanes * row;
        factors = first_factors + slot * tile * token_factors;
      }
      eight(even, odd);
      if (t == 0 && k > 0) arrive(done + third_before);
      eight(odd, even);
      if ((t + 2 * at_once) % window == 0) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if (back) made[i] *= decay_before[i], decay_before[i] = 1.0f;
          h[i] = fma(keeps[i], h[i], (double)made[i]);
          now[i] = (float)h[i];
          made[i] = 0.0f;
        }
      }
    }
    own_sum = first_sum + third_next * parts * lanes * row;
    third_before = third;
    third = third_next;
  }
  sum_up(1, sum_before);
  arrive(done + third_before);
  if (has_lane)
    for (int i = 0; i < 2; ++i)
      if (state + i < n.states) h_of[(state + i) * n.h] = now[i];
}

extern "C" __global__ void __launch_bounds__(threads, 1) states(const call c, const steps n) {
  extern __shared__ float4 shared_memory[];
  float* const memory = reinterpret_cast<float*>(shared_memory);
  if (threadIdx.x < followers)
    follow(c, n, memory);
  else
    help(c, n, memory);
}
)";

}  // namespace alphaform::cuda

// The scores of a chunk, and its rows that read and write the state. Decays are summed within blocks of 16 tokens only,
// from their beginning for what reads and to their end for what writes, so that no exponent is positive and none is a
// difference of large sums. Pairs of blocks are then products of matrices; so is a block with itself, after a division
// by all of its decays, unless these are too strong: then its pairs follow each token's write step by step.
#include <alphaform/backends/cuda/heads/head.cuh>
#include <alphaform/backends/cuda/heads/tf32.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

constexpr unsigned threads = 256, block_tokens = 16, blocks = head_tokens / block_tokens;
constexpr float most_nats = 16;  ///< of a block's decays: what the rounding of such an exponent does is 1e-6

/// Decays of several tokens, each given as its logarithm or as a - 1.
template <bool Logarithmic>
struct decays final {
  float sum = Logarithmic ? 0 : 1;
  __device__ void add(float d) { sum = Logarithmic ? sum + d : fmaf(sum, d, sum); }
  __device__ float value() const { return Logarithmic ? expf(sum) : sum; }
  __device__ bool are_weak() const { return Logarithmic ? sum >= -most_nats : sum >= 1.1e-7f; }
  __device__ float inverse() const { return Logarithmic ? expf(-sum) : 1 / sum; }
  __device__ static float of_one(float d) { return Logarithmic ? expf(d) : 1 + d; }
};

/// What the threads of a block share for some states at a time.
struct shared_rows final {
  float reads[head_tokens][head_row];   ///< decayed from the beginning of their block of tokens
  float inside[head_tokens][head_row];  ///< the same over all of the block's decays
  float writes[112][head_row];          ///< to the end of their block; from 64 on to that of a later one
  float kept[blocks][head_slice];       ///< by a block of tokens
  double kept_exactly[blocks][head_slice];
  float bonus[2][head_tokens];                   ///< by every other half of the states
  float followed[4][block_tokens][head_tokens];  ///< by quarters of the states: the scores of pairs within a block
};

/// Products of two blocks of tokens: which read, which wrote, and where the rows of both begin.
struct block_pair final {
  unsigned later, earlier, writes;
};
__device__ inline block_pair pair_of(unsigned number) {
  switch (number) {
    case 0:
      return {1, 0, 0};
    case 1:
      return {2, 1, 16};
    case 2:
      return {3, 2, 32};
    case 3:
      return {2, 0, 64};
    case 4:
      return {3, 1, 80};
    case 5:
      return {3, 0, 96};
    default:
      return {number - 6, number - 6, (number - 6) * block_tokens};
  }
}

/// One state of a block's tokens. Where there is none it reads another's instead, so that no load waits for a branch.
struct column_of_block final {
  std::int64_t first_token;
  unsigned count, state;  ///< tokens that there are
  bool exists;

  __device__ column_of_block(const chunked_heads& s, unsigned chunk, unsigned block, unsigned n)
      : first_token(static_cast<std::int64_t>(chunk) * head_tokens + block * block_tokens),
        count(s.count(chunk) > block * block_tokens ? s.count(chunk) - block * block_tokens : 0),
        state(min(n, s.states - 1)),
        exists(n < s.states && count > 0) {
    if (count == 0) first_token = 0;
  }
  /// 0 where there is no token, which is no decay. In place of log a = -infinity is what with 0 makes 0.
  template <bool Logarithms = false>
  __device__ void load(const head_factors& f, float (&to)[block_tokens]) const {
    const auto finite = [](float x) { return Logarithms ? fmaxf(x, -1e30f) : x; };
    const float* u = f.u + first_token * f.u_token;
    const float* v = f.v + first_token * f.v_token + static_cast<std::int64_t>(state) * f.v_state;
    float factor[block_tokens];
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      to[i] = __ldg(v);
      factor[i] = __ldg(u);
      if (i + 1 < count) u += f.u_token, v += f.v_token;
    }
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) to[i] = exists && i < count ? finite(to[i]) * finite(factor[i]) : 0;
  }
};

/// Each thread has one state of one block of tokens.
template <bool Logarithmic>
class prepared_column final {
 public:
  __device__ prepared_column(const chunked_heads& s, const head_factors (&of)[head_streams], const column_of_block& at,
                             shared_rows& to)
      : block_(threadIdx.x / head_slice), n_(threadIdx.x % head_slice) {
    float decay[block_tokens];
    at.load(of[head_read], reads_);
    at.load(of[head_write], writes_);
    at.template load<Logarithmic>(of[head_decay], decay);
    if (s.with_bonus) add_bonus(of[head_bonus], at, to);
    decays<Logarithmic> since, until;
    double exactly = Logarithmic ? 0 : 1;
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      const float before = since.value();
      since.add(decay[i]);
      reads_[i] *= s.read == 1 ? since.value() : before;
      exactly =
          Logarithmic ? exactly + static_cast<double>(decay[i]) : fma(exactly, static_cast<double>(decay[i]), exactly);
    }
#pragma unroll
    for (unsigned i = block_tokens; i-- > 0;) {
      const float after = until.value();
      until.add(decay[i]);
      writes_[i] *= s.written == 0 ? until.value() : after;
    }
    is_weak_ = since.are_weak();
    const float inverse = is_weak_ ? since.inverse() : 0;
    to.kept[block_][n_] = since.value();
    to.kept_exactly[block_][n_] = exactly;
    const unsigned first = block_ * block_tokens;
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      to.reads[first + i][n_] = reads_[i];
      to.inside[first + i][n_] = reads_[i] * inverse;
      to.writes[first + i][n_] = writes_[i];
    }
  }
  __device__ bool is_weak() const { return is_weak_; }

  /// Rows for the states before and after the chunk, and those that are written for blocks further on.
  __device__ void store(const chunked_heads& s, std::size_t place, unsigned first_state, shared_rows& to) const {
    const float k0 = to.kept[0][n_], k1 = to.kept[1][n_], k2 = to.kept[2][n_], k3 = to.kept[3][n_];
    const float before = block_ == 0   ? 1
                         : block_ == 1 ? k0
                         : block_ == 2 ? k0 * k1
                                       : k0 * k1 * k2,
                after = block_ == 3   ? 1
                        : block_ == 2 ? k3
                        : block_ == 1 ? k2 * k3
                                      : k1 * k2 * k3;
    const unsigned first = block_ * block_tokens;
    if (first_state + n_ < s.wide_states) {
      const std::size_t at = s.rows_at(place) + first * s.wide_states + first_state + n_;
#pragma unroll
      for (unsigned i = 0; i < block_tokens; ++i) {
        s.reads[at + i * s.wide_states] = reads_[i] * before;
        s.writes[at + i * s.wide_states] = writes_[i] * after;
      }
      if (block_ == 0) {
        const auto exactly = [&](unsigned k) { return to.kept_exactly[k][n_]; };
        s.kept[place * s.wide_states + first_state + n_] =
            Logarithmic ? exp((exactly(0) + exactly(1)) + (exactly(2) + exactly(3)))
                        : (exactly(0) * exactly(1)) * (exactly(2) * exactly(3));
      }
    }
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      if (block_ == 0) {
        to.writes[64 + i][n_] = writes_[i] * k1;
        to.writes[96 + i][n_] = writes_[i] * k1 * k2;
      } else if (block_ == 1) {
        to.writes[80 + i][n_] = writes_[i] * k2;
      }
    }
  }

 private:
  __device__ void add_bonus(const head_factors& f, const column_of_block& at, shared_rows& to) const {
    float bonus[block_tokens];
    at.load(f, bonus);
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      float sum = bonus[i] * reads_[i] * writes_[i];
      for (unsigned apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
      if (threadIdx.x % 32 == 0) to.bonus[n_ / 32][block_ * block_tokens + i] += sum;
    }
  }

  unsigned block_, n_;
  float reads_[block_tokens], writes_[block_tokens];
  bool is_weak_;
};

__device__ inline float dot(float4 a, float4 b) { return (a.x * b.x + a.y * b.y) + (a.z * b.z + a.w * b.w); }

/// Adds to the scores of one token's block what it wrote, by a quarter of the states, decay after decay.
template <bool Logarithmic>
__device__ void add_step_by_step(const chunked_heads& s, const head_factors (&of)[head_streams],
                                 const column_of_block& at, shared_rows& in) {
  auto &read = in.inside, &decay = in.reads;
  auto& write = in.writes;
  float column[block_tokens];
  const unsigned first_token = threadIdx.x / head_slice * block_tokens, state = threadIdx.x % head_slice;
  const auto keep = [&](auto& to) {
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) to[first_token + i][state] = column[i];
  };
  __syncthreads();
  at.load(of[head_read], column);
  keep(read);
  at.load(of[head_write], column);
  keep(write);
  at.template load<Logarithmic>(of[head_decay], column);
#pragma unroll
  for (float& d : column) d = decays<Logarithmic>::of_one(d);
  keep(decay);
  __syncthreads();
  const unsigned j = threadIdx.x % head_tokens, quarter = threadIdx.x / head_tokens,
                 first = j / block_tokens * block_tokens, begin = j % block_tokens + s.strict;
  float scores[block_tokens]{};
  for (unsigned n = quarter * (head_slice / 4); n < (quarter + 1) * (head_slice / 4); n += 4) {
    float4 w = *reinterpret_cast<const float4*>(&write[j][n]);
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      if (i < begin) continue;
      if (i > begin) {
        const float4 a = *reinterpret_cast<const float4*>(&decay[first + i + s.read - 1][n]);
        w = {w.x * a.x, w.y * a.y, w.z * a.z, w.w * a.w};
      }
      scores[i] += dot(w, *reinterpret_cast<const float4*>(&read[first + i][n]));
    }
  }
#pragma unroll
  for (unsigned i = 0; i < block_tokens; ++i) in.followed[quarter][i][j] += scores[i];
}

template <bool Logarithmic>
__global__ void __launch_bounds__(threads, 2) prepare(const chunked_heads s) {
  auto& shared = *shared_memory<shared_rows>();
  const unsigned chunk = blockIdx.x, warp = threadIdx.x / 32, block = threadIdx.x / head_slice;
  const auto places = places_of(s.heads, blockIdx.y);
  head_factors of[head_streams];
#pragma unroll
  for (int k = 0; k < head_streams; ++k) {
    of[k] = s.of[k];
    of[k].u += places.at[2 * k];
    of[k].v += places.at[2 * k + 1];
  }
  const std::size_t place = s.place(blockIdx.y, chunk);
  const unsigned j = threadIdx.x % head_tokens, quarter = threadIdx.x / head_tokens;
  if (quarter < 2) shared.bonus[quarter][j] = 0;
#pragma unroll
  for (unsigned i = 0; i < block_tokens; ++i) shared.followed[quarter][i][j] = 0;

  // Ten pairs of blocks for eight warps.
  const bool has_two = warp >= 4 && warp < 6;
  const block_pair pair = pair_of(warp), second = pair_of(warp + 4);
  tf32::sums sums, second_sums;
  tf32::mma::fill_fragment(sums, 0.0f);
  tf32::mma::fill_fragment(second_sums, 0.0f);
  const auto multiply = [&](const block_pair& p, tf32::sums& to) {
    const auto& rows = p.later == p.earlier ? shared.inside : shared.reads;
    for (unsigned n = 0; n < head_slice; n += 8) {
      tf32::halves<tf32::left<tf32::mma::row_major>> a;
      tf32::halves<tf32::right<tf32::mma::col_major>> b;
      a.load(&rows[p.later * block_tokens][n], head_row);
      b.load(&shared.writes[p.writes][n], head_row);
      tf32::multiply(to, a, b);
    }
  };
  for (unsigned first = 0; first < s.wide_states; first += head_slice) {
    const unsigned state = first + threadIdx.x % head_slice;
    const column_of_block at(s, chunk, block, state);
    __syncthreads();
    const prepared_column<Logarithmic> column(s, of, at, shared);
    const bool weak = __syncthreads_and(column.is_weak());
    column.store(s, place, first, shared);
    __syncthreads();
    if (weak || pair.later != pair.earlier) multiply(pair, sums);
    if (weak && has_two) multiply(second, second_sums);
    if (!weak) add_step_by_step<Logarithmic>(s, of, at, shared);
  }
  __syncthreads();
  auto& scores = shared.reads;
  const auto keep = [&](const block_pair& p, const tf32::sums& of_pair) {
    tf32::mma::store_matrix_sync(&scores[p.later * block_tokens][p.earlier * block_tokens], of_pair, head_row,
                                 tf32::mma::mem_row_major);
  };
  keep(pair, sums);
  if (has_two) keep(second, second_sums);
  __syncthreads();
  float* const to = s.scores + place * head_tokens * head_tokens;
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += threads) {
    const unsigned i = e / head_tokens;  // and j are the same for all e of a thread but for i
    float score = i >= j + s.strict ? scores[i][j] : 0;
    if (i / block_tokens == j / block_tokens) {
      const auto part = [&](unsigned q) { return shared.followed[q][i % block_tokens][j]; };
      score += (part(0) + part(1)) + (part(2) + part(3));
      if (i == j) score += shared.bonus[0][i] + shared.bonus[1][i];
    }
    to[e] = score;
  }
}

}  // namespace

void prepare_chunks(const chunked_heads& s) {
  const auto kernel = s.logarithmic ? prepare<true> : prepare<false>;
  constexpr std::size_t bytes = sizeof(shared_rows);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3(s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(threads), bytes, s);
}

}  // namespace alphaform::cuda

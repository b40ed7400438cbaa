// How the 256 threads that prepare a chunk take its streams and its pairs of blocks of 16 tokens.
#pragma once
#include <alphaform/backends/cuda/heads/head.cuh>

namespace alphaform::cuda {

constexpr unsigned prepare_threads = 256, block_tokens = 16, blocks = head_tokens / block_tokens;
constexpr unsigned head_slice = 64;  ///< states at a time: with four blocks of tokens, one for each thread
/// Between rows in shared memory, so that eight of them fall on different banks.
template <class Number>
constexpr unsigned head_row = head_slice + in_16_bytes<Number>;

/// Where the streams of one head begin.
template <class Number>
__device__ inline streams_of_heads<Number> streams_of(const chunked_heads<Number>& s, unsigned head) {
  const auto places = places_of(s.heads, head);
  const auto moved = [&](auto f, head_place u, head_place v) {
    f.u += places.at[u];
    if (f.v != nullptr) f.v += places.at[v];
    return f;
  };
  const auto* const rounded = s.of.rounded_decay;
  return {moved(s.of.decay, decay_u, decay_v), moved(s.of.bonus, bonus_u, bonus_v),
          rounded == nullptr ? nullptr : rounded + places.at[decay_v], moved(s.of.write, write_u, write_v),
          moved(s.of.read, read_u, read_v)};
}

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

  /// @param slice  the first of the states that the block of threads has
  template <class Number>
  __device__ column_of_block(const chunked_heads<Number>& s, unsigned chunk, unsigned slice) {
    const unsigned before = threadIdx.x / head_slice * block_tokens, n = slice + threadIdx.x % head_slice;
    count = s.count(chunk) > before ? s.count(chunk) - before : 0;
    first_token = count > 0 ? static_cast<std::int64_t>(chunk) * head_tokens + before : 0;
    state = min(n, s.states - 1);
    exists = n < s.states && count > 0;
  }
  /// 0 where there is no token, which is no decay. In place of log a = -infinity is what with 0 makes 0.
  template <bool Logarithms = false, class Number>
  __device__ void load(const head_factors<Number>& f, float (&to)[block_tokens]) const {
    const auto finite = [](float x) { return Logarithms ? fmaxf(x, -1e30f) : x; };
    const float* u = f.u + first_token * f.u_token;
    const Number* v = f.v + first_token * f.v_token + static_cast<std::int64_t>(state) * f.v_state;
    float factor[block_tokens];
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      to[i] = static_cast<float>(__ldg(v));
      factor[i] = __ldg(u);
      if (i + 1 < count) u += f.u_token, v += f.v_token;
    }
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) to[i] = exists && i < count ? finite(to[i]) * finite(factor[i]) : 0;
  }
};

/// Decays of a column.
template <bool Logarithmic, class Number>
__device__ inline void load_decays(const streams_of_heads<Number>& of, const column_of_block& at,
                                   float (&to)[block_tokens]) {
  if constexpr (!std::is_same_v<Number, float>)
    if (of.rounded_decay != nullptr) {
      const head_factors<float>& f = of.decay;
      return at.load<Logarithmic>(head_factors<bf16::number>{f.u, of.rounded_decay, f.u_token, f.v_token, f.v_state},
                                  to);
    }
  at.load<Logarithmic>(of.decay, to);
}

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

/// What tokens get of their own input beside what the state gives: the sum over states of bonus, read and write.
struct own_inputs final {
  float of[2][head_tokens];  ///< by every other half of the states

  __device__ void clear() {
    if (threadIdx.x < 2 * head_tokens) of[threadIdx.x / head_tokens][threadIdx.x % head_tokens] = 0;
  }
  __device__ void add(const head_factors<float>& bonus, const column_of_block& at, const float (&reads)[block_tokens],
                      const float (&writes)[block_tokens]) {
    float column[block_tokens];
    at.load(bonus, column);
    const unsigned first = threadIdx.x / head_slice * block_tokens, half = threadIdx.x % head_slice / 32;
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      float sum = column[i] * reads[i] * writes[i];
      for (unsigned apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
      if (threadIdx.x % 32 == 0) of[half][first + i] += sum;
    }
  }
  __device__ float operator()(unsigned token) const { return of[0][token] + of[1][token]; }
};

/// The scores of ten pairs of blocks, by eight warps.
template <class Number>
class pair_scores final {
  using rows_of_tokens = const Number (*)[head_row<Number>];

 public:
  __device__ pair_scores() : first_(pair_of(threadIdx.x / 32)), second_(pair_of(threadIdx.x / 32 + 4)) {}
  /// Adds a slice of the states: rows that read and wrote, tokens apart, as they are.
  __device__ void add(rows_of_tokens reads, rows_of_tokens writes) {
    add(reads + first_.later * block_tokens, writes + first_.earlier * block_tokens, of_first_);
    if (has_two()) add(reads + second_.later * block_tokens, writes + second_.earlier * block_tokens, of_second_);
  }
  /// The same of rows that are decayed to the end of blocks; without `inside`, those that read within their own block,
  /// such pairs are left out.
  __device__ void add(rows_of_tokens reads, rows_of_tokens inside, rows_of_tokens writes) {
    const auto rows = [&](const block_pair& p) {
      return (p.later == p.earlier ? inside : reads) + p.later * block_tokens;
    };
    if (inside != nullptr || first_.later != first_.earlier) add(rows(first_), writes + first_.writes, of_first_);
    if (inside != nullptr && has_two()) add(rows(second_), writes + second_.writes, of_second_);
  }
  __device__ void store(float (*scores)[head_row<float>]) {
    store(first_, of_first_, scores);
    if (has_two()) store(second_, of_second_, scores);
  }

 private:
  using block_tile = tile_of<Number, 1, 2>;
  __device__ static bool has_two() { return threadIdx.x / 32 == 4 || threadIdx.x / 32 == 5; }
  __device__ static void add(rows_of_tokens reads, rows_of_tokens writes, block_tile& to) {
    to.template add<head_slice>(by_rows<head_row<Number>>(reads[0]), by_columns<head_row<Number>>(writes[0]));
  }
  __device__ static void store(const block_pair& p, block_tile& of, float (*scores)[head_row<float>]) {
    of.pairs([&](unsigned i, unsigned j, float score, float next) {
      float* const to = &scores[p.later * block_tokens + i][p.earlier * block_tokens + j];
      to[0] = score;
      to[1] = next;
    });
  }

  block_pair first_, second_;
  block_tile of_first_, of_second_;
};

}  // namespace alphaform::cuda

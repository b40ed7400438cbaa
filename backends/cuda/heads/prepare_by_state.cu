// The scores of a chunk, and its rows that read and write the state. Decays are summed within blocks of 16 tokens only,
// from their beginning for what reads and to their end for what writes, so that no exponent is positive and none is a
// difference of large sums. Pairs of blocks are then products of matrices; so is a block with itself, after a division
// by all of its decays, unless these are too strong: then its pairs follow each token's write step by step.
#include <alphaform/backends/cuda/heads/columns.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

/// Rows of some states that are multiplied.
template <class Number>
struct decayed_rows final {
  Number reads[head_tokens][head_row<Number>];   ///< decayed from the beginning of their block of tokens
  Number inside[head_tokens][head_row<Number>];  ///< the same over all of the block's decays
  Number writes[112][head_row<Number>];          ///< to the end of their block; from 64 on to that of a later one
};
/// As they are, with their decays.
struct followed_rows final {
  float reads[head_tokens][head_row<float>], writes[head_tokens][head_row<float>], decays[head_tokens][head_row<float>];
};
/// What the threads of a block share for some states at a time.
template <class Number>
struct shared_rows final {
  union alignas(16) {
    decayed_rows<Number> rows;
    followed_rows followed_rows;
    float scores[head_tokens][head_row<float>];
  };
  float kept[blocks][head_slice];  ///< by a block of tokens
  double kept_exactly[blocks][head_slice];
  own_inputs bonus;
  float followed[4][block_tokens][head_tokens];  ///< by quarters of the states: the scores of pairs within a block
};

/// Each thread has one state of one block of tokens.
template <class Number, bool Logarithmic>
class prepared_column final {
 public:
  __device__ prepared_column(const chunked_heads<Number>& s, const streams_of_heads<Number>& of,
                             const column_of_block& at, shared_rows<Number>& to)
      : block_(threadIdx.x / head_slice), n_(threadIdx.x % head_slice) {
    float decay[block_tokens];
    at.load(of.read, reads_);
    at.load(of.write, writes_);
    load_decays<Logarithmic>(of, at, decay);
    if (s.with_bonus) to.bonus.add(of.bonus, at, reads_, writes_);
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
      to.rows.reads[first + i][n_] = Number(reads_[i]);
      to.rows.inside[first + i][n_] = Number(reads_[i] * inverse);
      to.rows.writes[first + i][n_] = Number(writes_[i]);
    }
  }
  __device__ bool is_weak() const { return is_weak_; }

  /// Rows for the states before and after the chunk, and those that are written for blocks further on.
  __device__ void store(const chunked_heads<Number>& s, std::size_t place, unsigned first_state,
                        shared_rows<Number>& to) const {
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
        s.reads[at + i * s.wide_states] = Number(reads_[i] * before);
        s.writes[at + i * s.wide_states] = Number(writes_[i] * after);
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
        to.rows.writes[64 + i][n_] = Number(writes_[i] * k1);
        to.rows.writes[96 + i][n_] = Number(writes_[i] * k1 * k2);
      } else if (block_ == 1) {
        to.rows.writes[80 + i][n_] = Number(writes_[i] * k2);
      }
    }
  }

 private:
  unsigned block_, n_;
  float reads_[block_tokens], writes_[block_tokens];
  bool is_weak_;
};

__device__ inline float dot(float4 a, float4 b) { return (a.x * b.x + a.y * b.y) + (a.z * b.z + a.w * b.w); }

/// Adds to the scores of one token's block what it wrote, by a quarter of the states, decay after decay.
template <bool Logarithmic, class Number>
__device__ void add_step_by_step(const chunked_heads<Number>& s, const streams_of_heads<Number>& of,
                                 const column_of_block& at, shared_rows<Number>& in) {
  auto& [read, write, decay] = in.followed_rows;
  float column[block_tokens];
  const unsigned first_token = threadIdx.x / head_slice * block_tokens, state = threadIdx.x % head_slice;
  const auto keep = [&](auto& to) {
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) to[first_token + i][state] = column[i];
  };
  __syncthreads();
  at.load(of.read, column);
  keep(read);
  at.load(of.write, column);
  keep(write);
  load_decays<Logarithmic>(of, at, column);
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

/// @param parts  null, or where each slice of the states, which has blocks of its own, leaves its part of all scores
template <class Number, bool Logarithmic>
__global__ void __launch_bounds__(prepare_threads, 2) prepare(const chunked_heads<Number> s, float* parts) {
  auto& shared = *shared_memory<shared_rows<Number>>();
  const unsigned chunk = blockIdx.x;
  const streams_of_heads<Number> of = streams_of(s, blockIdx.y);
  const std::size_t place = s.place(blockIdx.y, chunk);
  if (s.only != nullptr && !s.only[place]) return;
  const unsigned j = threadIdx.x % head_tokens, quarter = threadIdx.x / head_tokens;
  shared.bonus.clear();
#pragma unroll
  for (unsigned i = 0; i < block_tokens; ++i) shared.followed[quarter][i][j] = 0;
  pair_scores<Number> sums;
  const unsigned begin = blockIdx.z * head_slice,
                 end = parts != nullptr ? min(begin + head_slice, s.wide_states) : s.wide_states;
  for (unsigned first = begin; first < end; first += head_slice) {
    const column_of_block at(s, chunk, first);
    __syncthreads();
    const prepared_column<Number, Logarithmic> column(s, of, at, shared);
    const bool weak = __syncthreads_and(column.is_weak());
    column.store(s, place, first, shared);
    __syncthreads();
    sums.add(shared.rows.reads, weak ? shared.rows.inside : nullptr, shared.rows.writes);
    if (!weak) add_step_by_step<Logarithmic>(s, of, at, shared);
  }
  __syncthreads();
  sums.store(shared.scores);
  __syncthreads();
  Number* const to = s.scores + place * head_tokens * head_tokens;
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += prepare_threads) {
    const unsigned i = e / head_tokens;  // j is the same for all e of a thread
    float score = i >= j + s.strict ? shared.scores[i][j] : 0;
    if (i / block_tokens == j / block_tokens) {
      const auto part = [&](unsigned q) { return shared.followed[q][i % block_tokens][j]; };
      score += (part(0) + part(1)) + (part(2) + part(3));
    }
    if (i == j) score += shared.bonus(i);
    if (parts != nullptr)
      parts[(blockIdx.z * s.heads.entries * s.chunks + place) * head_tokens * head_tokens + e] = score;
    else
      to[e] = Number(score);
  }
}

/// Adds up what slices of the states have left.
template <class Number>
__global__ void join(const float* parts, unsigned slices, std::size_t scores, Number* to) {
  const std::size_t e = (static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 2;
  if (e >= scores) return;
  float2 sum{};
  for (unsigned k = 0; k < slices; ++k) {
    const float2 part = *reinterpret_cast<const float2*>(parts + k * scores + e);
    sum.x += part.x, sum.y += part.y;
  }
  put(to + e, sum.x, sum.y);
}

}  // namespace

template <class Number>
void prepare_by_state(const chunked_heads<Number>& s) {
  const auto kernel = s.logarithmic ? prepare<Number, true> : prepare<Number, false>;
  constexpr std::size_t bytes = sizeof(shared_rows<Number>);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  const auto heads = static_cast<unsigned>(s.heads.entries);
  const unsigned slices = (s.wide_states + head_slice - 1) / head_slice;
  // Slices have blocks of their own where there are few.
  if (s.only != nullptr || slices == 1 || heads * s.chunks >= 4 * static_cast<unsigned>(processors()))
    return launch(kernel, dim3(s.chunks, heads), dim3(prepare_threads), bytes, s, nullptr);
  const std::size_t scores = std::size_t{heads} * s.chunks * head_tokens * head_tokens;
  const scratch<float> parts(slices * scores);
  launch(kernel, dim3(s.chunks, heads, slices), dim3(prepare_threads), bytes, s, parts.data());
  launch(join<Number>, blocks_for(scores / 2, 256), dim3(256), 0, parts.data(), slices, scores, s.scores);
}

template void prepare_by_state(const chunked_heads<float>&);
template void prepare_by_state(const chunked_heads<bf16::number>&);

}  // namespace alphaform::cuda

// The scores of a chunk, and its rows that read and write the state. Decays are summed within blocks of 16 tokens only,
// from their beginning for what reads and to their end for what writes, so that no exponent is positive and none is a
// difference: pairs of blocks are a product of matrices, pairs within a block follow each token's write step by step.
#include <alphaform/backends/cuda/heads/head.cuh>
#include <alphaform/backends/cuda/heads/tf32.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

constexpr unsigned threads = 256, block_tokens = 16, blocks = head_tokens / block_tokens, pairs = 6;
/// Blocks of a pair, the later one first, and where the rows that write for it begin in `writes`.
constexpr __device__ unsigned later_of[pairs]{1, 2, 3, 2, 3, 3}, rows_of[pairs]{0, 16, 32, 64, 80, 96},
    earlier_of[pairs]{0, 1, 2, 0, 1, 0};

/// What a block of threads shares: streams of some states, and what is made of them.
struct shared_rows final {
  float read[head_tokens][head_row], write[head_tokens][head_row], decay[head_tokens][head_row];
  float reads[head_tokens][head_row];  ///< decayed from the beginning of their block of tokens
  float writes[112][head_row];         ///< to its end; from 64 on to the end of a later one
  float kept[blocks][head_slice];      ///< by a block of tokens
  double kept_exactly[blocks][head_slice];
};

/// A decay as its logarithm or as a - 1, and decays of several tokens.
template <bool Logarithmic>
struct decays final {
  float sum = Logarithmic ? 0 : 1;
  __device__ void add(float d) { sum = Logarithmic ? sum + d : fmaf(sum, d, sum); }
  __device__ float value() const { return Logarithmic ? expf(sum) : sum; }
  __device__ static float of_one(float d) { return Logarithmic ? expf(d) : 1 + d; }
};

/// In place of log a = -infinity: with 0 it makes 0.
__device__ inline float above_infinity(float x) { return fmaxf(x, -1e30f); }

template <bool Logarithmic>
__device__ void load_streams(const chunked_heads& s, const head_factors (&of)[head_streams], unsigned chunk,
                             unsigned first, shared_rows& to) {
  const unsigned count = s.count(chunk);
  for (unsigned e = threadIdx.x; e < head_tokens * head_slice; e += threads) {
    const unsigned i = e / head_slice, n = e % head_slice;
    const bool exists = i < count && first + n < s.states;
    const auto token = static_cast<std::int64_t>(chunk) * head_tokens + i;
    to.read[i][n] = exists ? of[head_read](token, first + n) : 0;
    to.write[i][n] = exists ? of[head_write](token, first + n) : 0;
    to.decay[i][n] = !exists       ? 0  // as without a decay
                     : Logarithmic ? above_infinity(of[head_decay].u_at(token)) *
                                         above_infinity(of[head_decay].v_at(token, first + n))
                                   : of[head_decay](token, first + n);
  }
}

/// Each thread has one state of one block of tokens.
template <bool Logarithmic>
__device__ void decay_rows(const chunked_heads& s, shared_rows& in) {
  const unsigned block = threadIdx.x / head_slice, n = threadIdx.x % head_slice, first = block * block_tokens;
  decays<Logarithmic> since, until;
  double exactly = Logarithmic ? 0 : 1;
  for (unsigned i = first; i < first + block_tokens; ++i) {
    const float d = in.decay[i][n];
    if (s.read == 0) in.reads[i][n] = in.read[i][n] * since.value();
    since.add(d);
    if (s.read == 1) in.reads[i][n] = in.read[i][n] * since.value();
    exactly = Logarithmic ? exactly + static_cast<double>(d) : fma(exactly, static_cast<double>(d), exactly);
  }
  in.kept[block][n] = since.value();
  in.kept_exactly[block][n] = exactly;
  for (unsigned i = first + block_tokens; i-- > first;) {
    const float d = in.decay[i][n];
    if (s.written == 1) in.writes[i][n] = in.write[i][n] * until.value();
    until.add(d);
    if (s.written == 0) in.writes[i][n] = in.write[i][n] * until.value();
    in.decay[i][n] = decays<Logarithmic>::of_one(d);
  }
}

/// Rows for the state before and after the chunk, and those that are written for blocks further on.
template <bool Logarithmic>
__device__ void store_rows(const chunked_heads& s, std::size_t place, unsigned first, shared_rows& in) {
  const unsigned n = threadIdx.x % head_slice;
  const float k0 = in.kept[0][n], k1 = in.kept[1][n], k2 = in.kept[2][n], k3 = in.kept[3][n];
  if (first + n < s.wide_states) {
    const float before[blocks]{1, k0, k0 * k1, k0 * k1 * k2}, after[blocks]{k1 * k2 * k3, k2 * k3, k3, 1};
    for (unsigned i = threadIdx.x / head_slice; i < head_tokens; i += threads / head_slice) {
      const std::size_t at = s.rows_at(place) + i * s.wide_states + first + n;
      s.reads[at] = in.reads[i][n] * before[i / block_tokens];
      s.writes[at] = in.writes[i][n] * after[i / block_tokens];
    }
    if (threadIdx.x < head_slice) {
      const auto& exactly = in.kept_exactly;
      s.kept[place * s.wide_states + first + n] =
          Logarithmic ? exp((exactly[0][n] + exactly[1][n]) + (exactly[2][n] + exactly[3][n]))
                      : (exactly[0][n] * exactly[1][n]) * (exactly[2][n] * exactly[3][n]);
    }
  }
  for (unsigned i = threadIdx.x / head_slice; i < block_tokens; i += threads / head_slice) {
    in.writes[64 + i][n] = in.writes[i][n] * k1;
    in.writes[80 + i][n] = in.writes[16 + i][n] * k2;
    in.writes[96 + i][n] = in.writes[i][n] * k1 * k2;
  }
}

__device__ inline float dot(float4 a, float4 b) { return (a.x * b.x + a.y * b.y) + (a.z * b.z + a.w * b.w); }

/// Adds scores of token `j` for those of its block, by a quarter of the states.
__device__ void add_pairs(const chunked_heads& s, const shared_rows& in, unsigned j, unsigned quarter,
                          float (&scores)[block_tokens]) {
  const unsigned first = j / block_tokens * block_tokens, begin = j % block_tokens + s.strict;
  for (unsigned n = quarter * (head_slice / 4); n < (quarter + 1) * (head_slice / 4); n += 4) {
    float4 w = *reinterpret_cast<const float4*>(&in.write[j][n]);
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      if (i < begin) continue;
      if (i > begin) {
        const float4 a = *reinterpret_cast<const float4*>(&in.decay[first + i + s.read - 1][n]);
        w = {w.x * a.x, w.y * a.y, w.z * a.z, w.w * a.w};
      }
      scores[i] += dot(w, *reinterpret_cast<const float4*>(&in.read[first + i][n]));
    }
  }
}

template <bool Logarithmic>
__global__ void __launch_bounds__(threads) prepare(const chunked_heads s) {
  auto& in = *shared_memory<shared_rows>();
  const unsigned chunk = blockIdx.x, warp = threadIdx.x / 32, j = threadIdx.x % head_tokens,
                 quarter = threadIdx.x / head_tokens;
  const auto at = places_of(s.heads, blockIdx.y);
  head_factors of[head_streams];
#pragma unroll
  for (int k = 0; k < head_streams; ++k) {
    of[k] = s.of[k];
    of[k].u += at.at[2 * k];
    of[k].v += at.at[2 * k + 1];
  }
  const std::size_t place = s.place(blockIdx.y, chunk);
  float near[block_tokens]{}, bonus = 0;
  tf32::sums far;
  tf32::mma::fill_fragment(far, 0.0f);
  for (unsigned first = 0; first < s.wide_states; first += head_slice) {
    __syncthreads();
    load_streams<Logarithmic>(s, of, chunk, first, in);
    __syncthreads();
    decay_rows<Logarithmic>(s, in);
    __syncthreads();
    store_rows<Logarithmic>(s, place, first, in);
    add_pairs(s, in, j, quarter, near);
    if (s.with_bonus && j < s.count(chunk))
      for (unsigned n = quarter * (head_slice / 4); n < min((quarter + 1) * (head_slice / 4), s.states - first); ++n)
        bonus += of[head_bonus](static_cast<std::int64_t>(chunk) * head_tokens + j, first + n) * in.read[j][n] *
                 in.write[j][n];
    __syncthreads();
    if (warp >= pairs) continue;
    for (unsigned n = 0; n < head_slice; n += 8) {
      tf32::halves<tf32::left<tf32::mma::row_major>> a;
      tf32::halves<tf32::right<tf32::mma::col_major>> b;
      a.load(&in.reads[later_of[warp] * block_tokens][n], head_row);
      b.load(&in.writes[rows_of[warp]][n], head_row);
      tf32::multiply(far, a, b);
    }
  }
  __syncthreads();
  auto& scores = in.read;  // no longer needed
  auto* const parts = &in.reads[0][0];
#pragma unroll
  for (unsigned i = 0; i < block_tokens; ++i)
    parts[(quarter * block_tokens + i) * head_tokens + j] = near[i] + (i == j % block_tokens ? bonus : 0);
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += threads)
    scores[e / head_tokens][e % head_tokens] = 0;
  __syncthreads();
  if (warp < pairs)
    tf32::mma::store_matrix_sync(&scores[later_of[warp] * block_tokens][earlier_of[warp] * block_tokens], far, head_row,
                                 tf32::mma::mem_row_major);
  for (unsigned i = quarter; i < block_tokens; i += threads / head_tokens) {
    const auto part = [&](unsigned q) { return parts[(q * block_tokens + i) * head_tokens + j]; };
    scores[j / block_tokens * block_tokens + i][j] = (part(0) + part(1)) + (part(2) + part(3));
  }
  __syncthreads();
  float* const to = s.scores + place * head_tokens * head_tokens;
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += threads)
    to[e] = scores[e / head_tokens][e % head_tokens];
}

}  // namespace

void prepare_chunks(const chunked_heads& s) {
  const auto kernel = s.logarithmic ? prepare<true> : prepare<false>;
  constexpr std::size_t bytes = sizeof(shared_rows);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3(s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(threads), bytes, s);
}

}  // namespace alphaform::cuda

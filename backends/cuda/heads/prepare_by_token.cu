// The same where all states of a head have the same decay: scores are a product of matrices, then weighted by the
// decays between their tokens, differences of sums in double.
#include <alphaform/backends/cuda/heads/columns.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

/// Logarithms of decays summed from the chunk's beginning, before each token and after the last. A decay that float
/// rounds to 0 is counted instead, as differences of sums could not undo it; so is the sign.
struct log_sums final {
  double sum[head_tokens + 1];
  short resets[head_tokens + 1], signs[head_tokens + 1];

  /// By the first warp. @param log  one of each token
  __device__ void fill(const double (&log)[head_tokens], const bool (&negative)[head_tokens]) {
    if (threadIdx.x >= 32) return;
    double s = 0;
    int r = 0, n = 0;
    if (threadIdx.x == 0) sum[0] = 0, resets[0] = signs[0] = 0;
#pragma unroll
    for (unsigned first = 0; first < head_tokens; first += 32) {
      const unsigned i = first + threadIdx.x;
      const bool reset = log[i] < -104;
      double here = reset ? 0 : log[i];
      int here_r = reset, here_n = negative[i];
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
  __device__ double of_all() const {
    return resets[head_tokens] == 0 ? sign(0, head_tokens) * exp(sum[head_tokens]) : 0;
  }
};

struct shared_rows final {
  float reads[head_tokens][head_row], writes[head_tokens][head_row];
  own_inputs bonus;
  double log[head_tokens];
  bool negative[head_tokens];
  log_sums decays;
  float to_read[head_tokens], to_end[head_tokens];
};

__device__ void sum_decays(const chunked_heads& s, const head_factors& decay, unsigned chunk, shared_rows& to) {
  const unsigned i = threadIdx.x;
  if (i < head_tokens) {
    double log = 0;
    bool negative = false;
    if (i < s.count(chunk)) {
      const auto token = static_cast<std::int64_t>(chunk) * head_tokens + i;
      const float u = decay.u_at(token), v = decay.v_at(token, 0);
      if (s.logarithmic) {
        log = fmaxf(u, -1e30f) * fmaxf(v, -1e30f);  // in place of -infinity what with 0 makes 0
      } else {
        const double a = 1 + static_cast<double>(u * v);
        log = ::log(fabs(a));
        negative = a < 0;
      }
    }
    to.log[i] = log;
    to.negative[i] = negative;
  }
  __syncthreads();
  to.decays.fill(to.log, to.negative);
  __syncthreads();
  if (i >= head_tokens) return;
  to.to_read[i] = to.decays.between(0, i + s.read);
  to.to_end[i] = to.decays.between(i + s.written, head_tokens);
}

__global__ void __launch_bounds__(prepare_threads, 3) prepare(const chunked_heads s) {
  auto& shared = *shared_memory<shared_rows>();
  const unsigned chunk = blockIdx.x, n = threadIdx.x % head_slice, begin = threadIdx.x / head_slice * block_tokens;
  const streams_of_head streams(s, blockIdx.y);
  const std::size_t place = s.place(blockIdx.y, chunk);
  shared.bonus.clear();
  sum_decays(s, streams.of[head_decay], chunk, shared);
  pair_scores sums;
  for (unsigned first = 0; first < s.wide_states; first += head_slice) {
    const column_of_block at(s, chunk, first);
    float reads[block_tokens], writes[block_tokens];
    at.load(streams.of[head_read], reads);
    at.load(streams.of[head_write], writes);
    __syncthreads();
    if (s.with_bonus) shared.bonus.add(streams.of[head_bonus], at, reads, writes);
    const std::size_t to = s.rows_at(place) + begin * s.wide_states + first + n;
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      shared.reads[begin + i][n] = reads[i];
      shared.writes[begin + i][n] = writes[i];
      if (s.reads == nullptr || first + n >= s.wide_states) continue;
      s.reads[to + i * s.wide_states] = reads[i] * shared.to_read[begin + i];
      s.writes[to + i * s.wide_states] = writes[i] * shared.to_end[begin + i];
    }
    __syncthreads();
    sums.add(shared.reads, shared.writes);
  }
  if (s.reads == nullptr && threadIdx.x < head_tokens) {
    const unsigned i = threadIdx.x, there = i < s.count(chunk);
    const auto token = static_cast<std::int64_t>(chunk) * head_tokens + (there ? i : 0);
    s.read_weights[place * head_tokens + i] = there ? shared.to_read[i] * streams.of[head_read].u_at(token) : 0;
    s.write_weights[place * head_tokens + i] = there ? shared.to_end[i] * streams.of[head_write].u_at(token) : 0;
  }
  if (threadIdx.x < min(head_slice, s.wide_states))
    for (unsigned k = threadIdx.x; k < s.wide_states; k += head_slice)
      s.kept[place * s.wide_states + k] = shared.decays.of_all();
  __syncthreads();
  sums.store(shared.reads);
  __syncthreads();
  float* const to = s.scores + place * head_tokens * head_tokens;
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += prepare_threads) {
    const unsigned i = e / head_tokens, j = e % head_tokens;
    float score = 0;
    if (i >= j + s.strict) score = shared.reads[i][j] * shared.decays.between(j + s.written, i + s.read);
    to[e] = i == j ? score + shared.bonus(i) : score;
  }
}

}  // namespace

void prepare_by_token(const chunked_heads& s) {
  constexpr std::size_t bytes = sizeof(shared_rows);
  launch(prepare, dim3(s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(prepare_threads), bytes, s);
}

}  // namespace alphaform::cuda

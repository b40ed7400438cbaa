// The same where all states of a head have the same decay: scores are a product of matrices, then weighted by the
// decays between their tokens, differences of sums in double.
#include <cuda_pipeline_primitives.h>

#include <alphaform/backends/cuda/heads/columns.cuh>
#include <alphaform/backends/cuda/heads/log_sums.cuh>

namespace alphaform::cuda {
namespace {

/// Products of what tokens of a chunk read and write, without their factors u.
template <class Number>
__global__ void __launch_bounds__(prepare_threads) multiply(const chunked_heads<Number> s) {
  constexpr unsigned row = head_row<Number>;
  __shared__ union alignas(16) {
    struct {
      Number reads[head_tokens][row], writes[head_tokens][row];
    };
    float products[head_tokens][head_row<float>];
  } shared;
  const unsigned chunk = blockIdx.x, count = s.count(chunk);
  const auto at = places_of(s.streams, blockIdx.y);
  const auto token = static_cast<std::int64_t>(chunk) * head_tokens;
  const auto fetch = [&](Number(&to)[head_tokens][row], const head_factors<Number>& f, std::int64_t offset,
                         unsigned first) {
    const Number* const from = f.v + offset + token * f.v_token + first;
    constexpr unsigned in_row = head_slice / in_16_bytes<Number>;
    const unsigned n = threadIdx.x % in_row * in_16_bytes<Number>;
#pragma unroll
    for (unsigned i = threadIdx.x / in_row; i < head_tokens; i += prepare_threads / in_row) {
      const bool exists = i < count && first + n < s.states;
      __pipeline_memcpy_async(&to[i][n], exists ? from + i * f.v_token + n : f.v, 16, exists ? 0 : 16);
    }
  };
  pair_scores<Number> sums;
  for (unsigned first = 0; first < s.states; first += head_slice) {
    __syncthreads();
    fetch(shared.reads, s.of.read, at.at[0], first);
    fetch(shared.writes, s.of.write, at.at[1], first);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    sums.add(shared.reads, shared.writes);
  }
  __syncthreads();
  sums.store(shared.products);
  __syncthreads();
  Number* const to = s.products + s.place(blockIdx.y, chunk) * head_tokens * head_tokens;
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += prepare_threads)
    to[e] = Number(shared.products[e / head_tokens][e % head_tokens]);
}

/// Scores of one head, by all threads of a block.
__device__ void weigh_products(const chunked_heads<float>& s, unsigned chunk, const float (&reads)[head_tokens],
                               const float (&writes)[head_tokens], const log_sums& decays) {
  const std::int64_t shared_by = places_of(s.heads, blockIdx.y).at[head_product];
  const float* const from = s.products + s.place(static_cast<unsigned>(shared_by), chunk) * head_tokens * head_tokens;
  float* const to = s.scores + s.place(blockIdx.y, chunk) * head_tokens * head_tokens;
#pragma unroll 4
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += prepare_threads) {
    const unsigned k = e / head_tokens, j = e % head_tokens;
    const float product = from[e] * (reads[k] * writes[j]);
    to[e] = k >= j + s.strict ? product * decays.between(j + s.written, k + s.read) : 0;
  }
}

/// The weights of one head's tokens and of their products.
template <class Number>
__global__ void __launch_bounds__(prepare_threads) weigh(const chunked_heads<Number> s) {
  __shared__ logarithms log;
  __shared__ float reads[head_tokens], writes[head_tokens];
  __shared__ log_sums decays;
  const unsigned chunk = blockIdx.x, i = threadIdx.x;
  const streams_of_heads<Number> of = streams_of(s, blockIdx.y);
  const std::size_t place = s.place(blockIdx.y, chunk);
  if (i < head_tokens) {
    const bool exists = i < s.count(chunk);
    const auto token = static_cast<std::int64_t>(chunk) * head_tokens + (exists ? i : 0);
    const float read = of.read.u_at(token), write = of.write.u_at(token);
    log.set(i, exists, of.decay.u_at(token), of.decay.v_at(token, 0), s.logarithmic);
    reads[i] = exists ? read : 0;
    writes[i] = exists ? write : 0;
  }
  __syncthreads();
  decays.fill(log);
  __syncthreads();
  if (i < head_tokens) {
    s.read_weights[place * head_tokens + i] = reads[i] * decays.between(0, i + s.read);
    s.write_weights[place * head_tokens + i] = Number(writes[i] * decays.between(i + s.written, head_tokens));
  }
  for (unsigned n = i; n < s.wide_states; n += prepare_threads) s.kept[place * s.wide_states + n] = decays.of_all();
  if constexpr (std::is_same_v<Number, float>)
    weigh_products(s, chunk, reads, writes, decays);
  else if (i < head_tokens)
    s.weights_of_scores[place].set(i, reads[i] * decays.sign(0, i + s.read), decays.of_2(i + s.read),
                                   writes[i] * decays.sign(0, i + s.written), decays.of_2(i + s.written));
}

}  // namespace

template <class Number>
void prepare_by_token(const chunked_heads<Number>& s) {
  launch(multiply<Number>, dim3(s.chunks, static_cast<unsigned>(s.streams.entries)), dim3(prepare_threads), 0, s);
  launch(weigh<Number>, dim3(s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(prepare_threads), 0, s);
}

template void prepare_by_token(const chunked_heads<float>&);
template void prepare_by_token(const chunked_heads<bf16::number>&);

}  // namespace alphaform::cuda

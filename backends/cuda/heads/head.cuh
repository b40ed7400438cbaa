// One head of a recurrence in chunks of 64 tokens:
//   y_i = sum_{j <= i} A_ij x_j + r_i S,   S <- diag(a) S + sum_j w_j' x_j,
// with A the scores, r the rows that read the state S before the chunk, and w those that write to the one after it. The
// adjoint is the same over reversed tokens, with write and read exchanged and another place of each token's decay.
#pragma once
#include <alphaform/backends/cuda/bf16.cuh>
#include <alphaform/backends/cuda/launch.cuh>
#include <alphaform/backends/cuda/tf32.cuh>

namespace alphaform::cuda {

constexpr unsigned head_tokens = 64;  ///< of a chunk

/// What is multiplied: float32 numbers as sums of two, or bfloat16.
template <class Number>
struct on_cores;
template <>
struct on_cores<float> final {
  template <unsigned Tall, unsigned Wide>
  using tile = tf32::tile<Tall, Wide>;
};
template <>
struct on_cores<bf16::number> final {
  template <unsigned Tall, unsigned Wide>
  using tile = bf16::tile<Tall, Wide>;
};
template <class Number, unsigned Tall, unsigned Wide>
using tile_of = typename on_cores<Number>::template tile<Tall, Wide>;
template <class Number>
constexpr unsigned in_16_bytes = 16 / sizeof(Number);

/// Two numbers that lie together.
__device__ inline void put(float* to, float x, float y) { *reinterpret_cast<float2*>(to) = {x, y}; }
__device__ inline void put(bf16::number* to, float x, float y) {
  *reinterpret_cast<__nv_bfloat162*>(to) = __floats2bfloat162_rn(x, y);
}

/// The numbers of a factored stream that one head has at a token: u, and v of each state.
template <class Number>
struct head_factors final {
  const float* u;
  const Number* v;
  std::int64_t u_token, v_token;
  int v_state;
  __device__ float u_at(std::int64_t token) const { return u[token * u_token]; }
  __device__ float v_at(std::int64_t token, unsigned state) const {
    return v[token * v_token + static_cast<int>(state) * v_state];
  }
  __device__ float operator()(std::int64_t token, unsigned state) const { return u_at(token) * v_at(token, state); }
};

/// Rows [token][state] of one chunk of a head: those of a stream, or scratch that has been prepared.
template <class Number>
struct head_rows final {
  const Number* at;
  std::int64_t token;  ///< from one to the next
  unsigned states;     ///< that there are
  bool weighted;       ///< those of a stream: each token's are to be multiplied by its weight
};

template <class Number>
struct streams_of_heads final {
  head_factors<float> decay, bonus;
  const bf16::number* rounded_decay;  ///< instead of decay.v, or null
  head_factors<Number> write, read;
};
/// Where each head's streams begin: u and v of each, x, h, y; and the number of its products in `products`.
enum head_place : int {
  decay_u,
  decay_v,
  bonus_u,
  bonus_v,
  write_u,
  write_v,
  read_u,
  read_v,
  head_x,
  head_h,
  head_y,
  head_product,
  head_places
};

/// A chunk's score (i, j) is a product times read[i] write[j] 2^(decay_read[i] - decay_written[j]).
struct score_factors final {
  float read[head_tokens], decay_read[head_tokens], write[head_tokens], decay_written[head_tokens];
  __device__ void set(unsigned i, float reads, float before_read, float writes, float before_written) {
    read[i] = reads, decay_read[i] = before_read, write[i] = writes, decay_written[i] = before_written;
  }
};

template <class Number>
struct chunked_heads final {
  layout<head_places> heads;
  layout<2> streams;  ///< v of what is read and written, of heads that do not share both
  streams_of_heads<Number> of;
  const Number* x;
  float *h, *y;
  bf16::number* rounded_y;  ///< instead of y, or null
  std::int64_t x_token, y_token;
  int x_chan, y_chan, h_chan, h_state;
  unsigned tokens, states, channels, chunks;
  unsigned wide_states, wide_channels;  ///< in scratch: rounded up to 16
  bool logarithmic, with_bonus;
  bool x_lies_together, y_lies_together;  ///< 16 bytes, aligned
  // Token i reads what token j wrote if j <= i, or j < i if strict, with the decays of [j + written, i + read).
  bool strict;
  unsigned written, read;

  // Scratch, one after the other for [head, chunk].
  Number *reads, *writes;  ///< [64, wide states]: decayed from the chunk's beginning, to its end; or null, and
  float* read_weights;     ///< [64]: what the streams are to be multiplied by instead, and
  Number* write_weights;   ///< [64]
  Number* scores;          ///< [64, 64], 0 above the diagonal
  Number* products;        ///< [64, 64] of [stream, chunk]: scores without decays and factors u
  score_factors* weights_of_scores;  ///< of bfloat16, instead of scores: what their products are to be multiplied by
  Number* states_before;             ///< [wide states, wide channels]: the state before a chunk
  double* kept;                      ///< [wide states]: the product of the chunk's decays
  const bool* only;                  ///< prepare_by_state does those alone; null: all

  __device__ std::size_t place(unsigned head, unsigned chunk) const {
    return static_cast<std::size_t>(head) * chunks + chunk;
  }
  __device__ std::size_t rows_at(std::size_t place) const { return place * head_tokens * wide_states; }
  __device__ std::size_t state_at(std::size_t place) const { return place * wide_states * wide_channels; }
  /// The rows that read the state before a chunk, and those that write to the one after it.
  __device__ head_rows<Number> rows_that_read(std::size_t place, unsigned chunk, std::int64_t offset) const {
    return rows_of(place, chunk, of.read, offset, reads);
  }
  __device__ head_rows<Number> rows_that_write(std::size_t place, unsigned chunk, std::int64_t offset) const {
    return rows_of(place, chunk, of.write, offset, writes);
  }
  /// Of those of a chunk.
  __device__ unsigned count(unsigned chunk) const { return min(head_tokens, tokens - chunk * head_tokens); }

 private:
  __device__ head_rows<Number> rows_of(std::size_t place, unsigned chunk, const head_factors<Number>& f,
                                       std::int64_t offset, const Number* prepared) const {
    if (prepared != nullptr) return {prepared + rows_at(place), wide_states, wide_states, false};
    return {f.v + offset + static_cast<std::int64_t>(chunk) * head_tokens * f.v_token, f.v_token, states, true};
  }
};

// Of float32 or bfloat16 numbers:
/// prepare_by_state.cu: reads, writes, scores and kept of every chunk.
template <class Number>
void prepare_by_state(const chunked_heads<Number>&);
/// prepare_by_token.cu: weights instead of reads and writes, where all states of a head have the same decay.
template <class Number>
void prepare_by_token(const chunked_heads<Number>&);
/// states.cu: the states before each chunk, from h on, and h after the last.
template <class Number>
void find_states(const chunked_heads<Number>&);
/// results.cu: y.
template <class Number>
void read_chunks(const chunked_heads<Number>&);
/// states.cu: only what each chunk's tokens add to the state, in place of the state before it.
void add_chunks(const chunked_heads<float>&);

}  // namespace alphaform::cuda

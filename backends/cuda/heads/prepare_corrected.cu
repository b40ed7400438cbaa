// Rows and scores of heads with corrections: those of what reads and writes inputs and corrections, then solved. Decays
// are summed within blocks of 16 tokens only, as in prepare_by_state, which does chunks with stronger ones.
#include <alphaform/backends/cuda/heads/solve.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

constexpr unsigned pairs = 10;  ///< of blocks, of which one is not later
enum row_stream : unsigned { reads, probes, writes, corrections, row_streams };

/// Where the streams of one head begin: those that become rows, and the decays.
struct streams_of_rows final {
  head_factors<float> of[row_streams], decay;
  __device__ void find(const chunked_heads<float>& s, const corrected_heads<float>& c, unsigned head) {
    if (threadIdx.x != 0) return;
    const auto own = places_of(s.heads, head);
    const auto more = places_of(c.heads, head);
    const auto moved = [](head_factors<float> f, std::int64_t u, std::int64_t v) { return f.u += u, f.v += v, f; };
    decay = moved(s.of.decay, own.at[decay_u], own.at[decay_v]);
    of[reads] = moved(s.of.read, own.at[read_u], own.at[read_v]);
    of[writes] = moved(s.of.write, own.at[write_u], own.at[write_v]);
    of[probes] = moved(c.q, more.at[q_u], more.at[q_v]);
    of[corrections] = moved(c.p, more.at[p_u], more.at[p_v]);
  }
};

/// Rows of some states, decayed from the beginning of their block of tokens, or to its end.
struct rows_of_states final {
  float of[row_streams][head_tokens][row_of_square];
  float kept[blocks][head_slice], inverse[blocks][head_slice];  ///< by a block, and 1 over it
  double kept_exactly[blocks][head_slice];
  float between[pairs][head_slice];  ///< by the blocks between two; inverse for a block with itself
};
union shared_by_chunk {
  rows_of_states rows;
  chunk_matrices matrices;
};

/// Each thread has one state of one block of tokens.
template <bool Logarithmic>
class column_of_rows final {
 public:
  __device__ column_of_rows(const chunked_heads<float>& s, const streams_of_rows& streams, const column_of_block& at,
                            rows_of_states& to)
      : block_(threadIdx.x / head_slice), n_(threadIdx.x % head_slice) {
    float own[block_tokens];
    at.template load<Logarithmic>(streams.decay, own);
    decays<Logarithmic> since, until;
    double exactly = Logarithmic ? 0 : 1;
    float factor[block_tokens + 1];
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i) {
      factor[i] = since.value();
      since.add(own[i]);
      exactly =
          Logarithmic ? exactly + static_cast<double>(own[i]) : fma(exactly, static_cast<double>(own[i]), exactly);
    }
    factor[block_tokens] = since.value();
    is_weak_ = since.are_weak();
    to.kept[block_][n_] = since.value();
    to.inverse[block_][n_] = is_weak_ ? since.inverse() : 0;
    to.kept_exactly[block_][n_] = exactly;
#pragma unroll 1
    for (unsigned k = reads; k <= probes; ++k) keep(at, streams.of[k], factor, k == reads ? s.read : 0, to.of[k]);
#pragma unroll
    for (unsigned i = block_tokens; i > 0; --i) {
      factor[i] = until.value();
      until.add(own[i - 1]);
    }
    factor[0] = until.value();
#pragma unroll 1
    for (unsigned k = writes; k <= corrections; ++k)
      keep(at, streams.of[k], factor, k == writes ? s.written : 1, to.of[k]);
  }
  __device__ bool is_weak() const { return is_weak_; }

  /// Rows for the states before and after the chunk, and what it keeps of the state.
  __device__ void store(const chunked_heads<float>& s, const corrected_heads<float>& c, std::size_t place,
                        unsigned first_state, const rows_of_states& rows) const {
    if (first_state + n_ >= s.wide_states) return;
    float before = 1, after = 1;
#pragma unroll
    for (unsigned k = 0; k < blocks; ++k) {
      if (k < block_) before *= rows.kept[k][n_];
      if (k > block_) after *= rows.kept[k][n_];
    }
    const unsigned first = block_ * block_tokens;
    const std::size_t at = s.rows_at(place) + first * s.wide_states + first_state + n_;
#pragma unroll 4
    for (unsigned i = 0; i < block_tokens; ++i) {
      const auto row = [&](row_stream k) { return rows.of[k][first + i][n_]; };
      s.reads[at + i * s.wide_states] = row(reads) * before;
      c.probes[at + i * s.wide_states] = row(probes) * before;
      s.writes[at + i * s.wide_states] = row(writes) * after;
      c.corrections[at + i * s.wide_states] = row(corrections) * after;
    }
    if (block_ != 0) return;
    const auto exactly = [&](unsigned k) { return rows.kept_exactly[k][n_]; };
    s.kept[place * s.wide_states + first_state + n_] = Logarithmic
                                                           ? exp((exactly(0) + exactly(1)) + (exactly(2) + exactly(3)))
                                                           : (exactly(0) * exactly(1)) * (exactly(2) * exactly(3));
  }

 private:
  /// @param later  which of two places a token's factor has
  __device__ void keep(const column_of_block& at, const head_factors<float>& of,
                       const float (&factor)[block_tokens + 1], unsigned later, float (*to)[row_of_square]) const {
    float column[block_tokens];
    at.load(of, column);
#pragma unroll
    for (unsigned i = 0; i < block_tokens; ++i)
      to[block_ * block_tokens + i][n_] = column[i] * (later == 0 ? factor[i] : factor[i + 1]);
  }

  unsigned block_, n_;
  bool is_weak_;
};

/// What lies between two blocks, for the states of a slice.
__device__ void find_between(rows_of_states& rows) {
  for (unsigned e = threadIdx.x; e < pairs * head_slice; e += prepare_threads) {
    const block_pair pair = pair_of(e / head_slice);
    const unsigned n = e % head_slice;
    float product = pair.later == pair.earlier ? rows.inverse[pair.later][n] : 1;
    for (unsigned k = pair.earlier + 1; k < pair.later; ++k) product *= rows.kept[k][n];
    rows.between[e / head_slice][n] = product;
  }
}

/// Of what one stream reads of another, the scores of half of all pairs of blocks, by one warp.
class scores_of_warp final {
 public:
  __device__ scores_of_warp()
      : read_(threadIdx.x / 128 == 0 ? reads : probes),
        write_(threadIdx.x / 64 % 2 == 0 ? writes : corrections),
        half_(threadIdx.x / 32 % 2) {}
  __device__ void add(const rows_of_states& rows) {
#pragma unroll
    for (unsigned k = 0; k < half; ++k)
      sums_[k].add<head_slice, 2>(by_rows<row_of_square>(rows.of[read_][later(k)]),
                                  by_columns<row_of_square>(rows.of[write_][earlier(k)]),
                                  rows.between[half_ * half + k]);
  }
  /// Scores of inputs go to memory.
  __device__ void store(const chunked_heads<float>& s, std::size_t place, chunk_matrices& to) {
    const unsigned read = read_ == reads ? s.read : 0, written = write_ == writes ? s.written : 1;
    float* const at = read_ == reads
                          ? (write_ == writes ? s.scores + place * head_tokens * head_tokens : to.of_corrections[0])
                          : (write_ == writes ? to.probed[0] : to.slice[0]);
    const unsigned row = read_ == probes ? row_of_panel : write_ == writes ? head_tokens : row_of_square;
#pragma unroll
    for (unsigned k = 0; k < half; ++k)
      sums_[k].pairs([&](unsigned in_later, unsigned in_earlier, float score, float next) {
        const unsigned i = later(k) + in_later, j = earlier(k) + in_earlier;
        *reinterpret_cast<float2*>(at + i * row + j) = {j + written <= i + read ? score : 0,
                                                        j + 1 + written <= i + read ? next : 0};
      });
  }

 private:
  static constexpr unsigned half = pairs / 2;
  // The first tokens of a pair's blocks, as pair_of has them.
  __device__ unsigned later(unsigned k) const {
    constexpr unsigned of[pairs]{1, 2, 3, 2, 3, 3, 0, 1, 2, 3};
    return block_tokens * (half_ == 0 ? of[k] : of[half + k]);
  }
  __device__ unsigned earlier(unsigned k) const {
    constexpr unsigned of[pairs]{0, 1, 2, 0, 1, 0, 0, 1, 2, 3};
    return block_tokens * (half_ == 0 ? of[k] : of[half + k]);
  }

  row_stream read_, write_;
  unsigned half_;
  tf32::tile<1, 2> sums_[half];
};

/// Nothing where earlier blocks would read later ones.
__device__ void clear_later(const chunked_heads<float>& s, std::size_t place, chunk_matrices& to) {
#pragma unroll 1
  for (unsigned e = threadIdx.x; e < head_tokens * head_tokens; e += prepare_threads) {
    const unsigned i = e / head_tokens, j = e % head_tokens;
    if (i / block_tokens >= j / block_tokens) continue;
    s.scores[place * head_tokens * head_tokens + e] = 0;
    to.of_corrections[i][j] = to.probed[i][j] = to.slice[i][j] = 0;
  }
}

template <bool Logarithmic>
__global__ void __launch_bounds__(prepare_threads, 2)
    prepare(const chunked_heads<float> s, const corrected_heads<float> c) {
  auto& shared = *shared_memory<shared_by_chunk>();
  const unsigned chunk = blockIdx.x;
  const std::size_t place = s.place(blockIdx.y, chunk);
  __shared__ streams_of_rows streams;
  streams.find(s, c, blockIdx.y);
  scores_of_warp scores;
  bool is_weak = true;
  for (unsigned first = 0; first < s.wide_states; first += head_slice) {
    const column_of_block at(s, chunk, first);
    __syncthreads();
    const column_of_rows<Logarithmic> column(s, streams, at, shared.rows);
    is_weak = __syncthreads_and(column.is_weak()) && is_weak;
    find_between(shared.rows);
    column.store(s, c, place, first, shared.rows);
    __syncthreads();
    scores.add(shared.rows);
  }
  if (threadIdx.x == 0) c.strong[place] = !is_weak;
  if (!is_weak) return;
  __syncthreads();
  scores.store(s, place, shared.matrices);
  clear_later(s, place, shared.matrices);
  __syncthreads();
  solve(s, c, place, shared.matrices);
}

__global__ void __launch_bounds__(prepare_threads)
    solve_chunk(const chunked_heads<float> s, const corrected_heads<float> c) {
  auto& shared = *shared_memory<chunk_matrices>();
  const std::size_t place = s.place(blockIdx.y, blockIdx.x);
  if (!c.strong[place]) return;
  const auto fetch_square = [&](auto& to, const float* from) {
    fetch<head_tokens, solve_threads>(to, from + place * head_tokens * head_tokens, head_tokens, head_tokens,
                                      head_tokens);
  };
  fetch_square(shared.slice, c.reflected);
  fetch_square(shared.probed, c.probed);
  fetch_square(shared.of_corrections, c.of_corrections);
  arrived();
  solve(s, c, place, shared);
}

template <class Shared>
void launch_for_chunks(void (*kernel)(chunked_heads<float>, corrected_heads<float>), const chunked_heads<float>& s,
                       const corrected_heads<float>& c) {
  constexpr std::size_t bytes = sizeof(Shared);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3(s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(prepare_threads), bytes, s, c);
}

}  // namespace

void prepare_corrected(const chunked_heads<float>& s, const corrected_heads<float>& c) {
  launch_for_chunks<shared_by_chunk>(s.logarithmic ? prepare<true> : prepare<false>, s, c);
}
void solve_strong(const chunked_heads<float>& s, const corrected_heads<float>& c) {
  launch_for_chunks<chunk_matrices>(solve_chunk, s, c);
}

}  // namespace alphaform::cuda

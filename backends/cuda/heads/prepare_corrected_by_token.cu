// Rows and scores of heads with corrections by products of bfloat16, where all states of a head have the same decay:
// products of what is read and written, weighted by the decays between their tokens, then solved. The inverse is found
// in float32.
#include <alphaform/backends/cuda/heads/log_sums.cuh>
#include <alphaform/backends/cuda/heads/solve.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

using bf16::number;

enum row_stream : unsigned { reads, probes, writes, corrections, row_streams };
constexpr unsigned row = head_row<number>;
using matrix = number[head_tokens][row];

/// A chunk in shared memory; parts that are not needed at the same time lie at the same place.
struct alignas(16) corrected_chunk final {
  matrix rows[row_streams];       ///< some states of each stream; of equal ones the first
  matrix probed, of_corrections;  ///< Q, then Q*; P
  union {
    float reflected[head_tokens][row_of_panel];  ///< V
    struct {
      matrix inverse, of_rows;  ///< (1 - V)^-1, for scores and for rows q
    };
  };
  union {
    float exact_inverse[head_tokens][row_of_square];
    struct {
      matrix probed_to_end, solved;  ///< Q* for rows p; q*
    };
  };
  token_weights weights[row_streams];
};

/// Where rows of a chunk's tokens begin.
struct rows_of_stream final {
  const number* at;
  std::int64_t token;
  __device__ rows_of_stream(const head_factors<number>& f, std::int64_t offset, std::int64_t first)
      : at(f.v + offset + first * f.v_token), token(f.v_token) {}
  __device__ bool operator==(const rows_of_stream& other) const { return at == other.at && token == other.token; }
};

/// Entries of a square of 64 by eight warps, as place_in_square has them.
using square_tile = bf16::tile<1, 4>;
/// Calls f(row, column, two entries side by side).
template <class F>
__device__ inline void pairs_of(square_tile& sums, F f) {
  const warp_place warp = place_in_square();
  sums.pairs([&](unsigned i, unsigned k, float& x, float& y) { f(warp.row + i, warp.column + k, x, y); });
}
__device__ inline void add_rows(square_tile& sums, const matrix& a, const matrix& b) {
  const warp_place warp = place_in_square();
  sums.add<head_tokens>(by_rows<row>(a[warp.row]), by_rows<row>(&b[0][warp.column]));
}
/// To memory where rows of `apart` numbers begin, `columns` of which there are.
__device__ inline void store(const square_tile& sums, number* to, unsigned apart, unsigned columns) {
  const warp_place warp = place_in_square();
  sums.two_pairs([&](unsigned i, unsigned k, float2 one, float2 other) {
    const bf16::four_of_row four(one, other);
    const unsigned column = warp.column + k + static_cast<unsigned>(four.further);
    if (column < columns) *reinterpret_cast<uint2*>(to + (warp.row + i) * apart + column) = four.numbers;
  });
}
__device__ inline void store(square_tile& sums, matrix& to) {
  pairs_of(sums, [&](unsigned i, unsigned k, float x, float y) { put(&to[i][k], x, y); });
}

/// The decays of a chunk, and what its tokens are weighted by: each thread has one of one stream.
__global__ void __launch_bounds__(prepare_threads)
    weigh_tokens(const chunked_heads<number> s, const corrected_heads<number> c) {
  static_assert(prepare_threads == row_streams * head_tokens);
  __shared__ logarithms log;
  __shared__ log_sums decays;
  const unsigned i = threadIdx.x % head_tokens, stream = threadIdx.x / head_tokens;
  const auto own = places_of(s.heads, blockIdx.y);
  const auto more = places_of(c.heads, blockIdx.y);
  const bool exists = i < s.count(blockIdx.x);
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * head_tokens + (exists ? i : 0);
  const auto u_of = [&](const head_factors<number>& f, std::int64_t offset) { return f.u[offset + token * f.u_token]; };
  if (stream == 0) {
    const head_factors<float>& f = s.of.decay;
    log.set(i, exists, f.u[own.at[decay_u] + token * f.u_token], f.v[own.at[decay_v] + token * f.v_token],
            s.logarithmic);
  }
  const float there = stream == reads    ? u_of(s.of.read, own.at[read_u])
                      : stream == probes ? u_of(c.q, more.at[q_u])
                      : stream == writes ? u_of(s.of.write, own.at[write_u])
                                         : u_of(c.p, more.at[p_u]),
              u = exists ? there : 0;
  const unsigned before = i + (stream == reads ? s.read : stream == probes ? 0 : stream == writes ? s.written : 1);
  __syncthreads();
  decays.fill(log);
  __syncthreads();
  const bool is_read = stream == reads || stream == probes;
  const std::size_t place = s.place(blockIdx.y, blockIdx.x);
  token_weights& to = c.weights[place * row_streams + stream];
  to.of_score[i] = {u * decays.sign(0, before), decays.of_2(before)};
  to.of_row[i] = u * (is_read ? decays.between(0, before) : decays.between(before, head_tokens));
  if (threadIdx.x == 0) s.kept[place] = decays.of_all();
}

/// Weights of the scores that a thread has in a square_tile: those of its rows, or of its columns.
struct weights_of_rows final {
  float2 of[2];
  __device__ explicit weights_of_rows(const token_weights& w) {
    const unsigned first = place_in_square().row + threadIdx.x % 32 / 4;
    of[0] = w.of_score[first], of[1] = w.of_score[first + 8];
  }
};
struct weights_of_columns final {
  float4 of[4];  ///< of two side by side
  __device__ explicit weights_of_columns(const token_weights& w) {
    const unsigned first = place_in_square().column + threadIdx.x % 4 * 2;
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) of[j] = *reinterpret_cast<const float4*>(&w.of_score[first + 8 * j]);
  }
};
/// Makes scores of products: of what is written no later than it is read.
__device__ inline void weigh(square_tile& sums, const weights_of_rows& read, const weights_of_columns& write,
                             unsigned read_place, unsigned written_place) {
  const warp_place warp = place_in_square();
  sums.pairs([&](unsigned i, unsigned k, float& score, float& next) {
    const float2 row_by = read.of[i / 8];
    const float4 by = write.of[k / 8];
    const unsigned last = warp.row + i + read_place, first = warp.column + k + written_place;
    score = first <= last ? score * (row_by.x * by.x * exp2f(row_by.y - by.y)) : 0;
    next = first + 1 <= last ? next * (row_by.x * by.z * exp2f(row_by.y - by.w)) : 0;
  });
}

__global__ void __launch_bounds__(prepare_threads, 2)
    prepare(const chunked_heads<number> s, const corrected_heads<number> c) {
  auto& shared = *shared_memory<corrected_chunk>();
  const unsigned chunk = blockIdx.x, count = s.count(chunk);
  const std::size_t place = s.place(blockIdx.y, chunk), rows = s.rows_at(place);
  const auto own = places_of(s.heads, blockIdx.y);
  const auto more = places_of(c.heads, blockIdx.y);
  const auto token = static_cast<std::int64_t>(chunk) * head_tokens;
  const rows_of_stream streams[row_streams]{{s.of.read, own.at[read_v], token},
                                            {c.q, more.at[q_v], token},
                                            {s.of.write, own.at[write_v], token},
                                            {c.p, more.at[p_v], token}};
  unsigned at[row_streams]{};  // the first that is equal
#pragma unroll
  for (unsigned k = probes; k < row_streams; ++k) {
    at[k] = k;
#pragma unroll
    for (unsigned other = k; other-- > 0;)
      if (streams[other] == streams[k]) at[k] = other;
  }
  const auto fetch_rows = [&](unsigned first) {
#pragma unroll
    for (unsigned k = reads; k < row_streams; ++k)
      if (at[k] == k)
        fetch<head_slice, prepare_threads>(shared.rows[k], streams[k].at + first, streams[k].token, count,
                                           s.states - first);
    __pipeline_commit();
  };
  if (threadIdx.x < sizeof shared.weights / 16)
    __pipeline_memcpy_async(reinterpret_cast<float4*>(shared.weights) + threadIdx.x,
                            reinterpret_cast<const float4*>(c.weights + place * row_streams) + threadIdx.x, 16);
  fetch_rows(0);

  // Of what inputs and corrections are read by.
  square_tile scores, of_corrections, probed, reflected;
  const warp_place warp = place_in_square();
  const bool is_early = warp.column < warp.row + 16;  // else nothing there is read
  for (unsigned first = 0; first < s.states; first += head_slice) {
    if (first > 0) __syncthreads();
    if (first > 0) fetch_rows(first);
    arrived();
    if (!is_early) continue;
    const auto add = [&](square_tile& to, row_stream read, row_stream write) {
      to.add<head_slice>(by_rows<row>(shared.rows[at[read]][warp.row]),
                         by_columns<row>(shared.rows[at[write]][warp.column]));
    };
    add(scores, reads, writes);
    add(probed, probes, writes);
    if (at[writes] == at[corrections]) continue;
    add(of_corrections, reads, corrections);
    add(reflected, probes, corrections);
  }
  if (at[writes] == at[corrections]) of_corrections = scores, reflected = probed;
  const token_weights(&by)[row_streams] = shared.weights;
  const weights_of_rows of_reads(by[reads]), of_probes(by[probes]);
  {
    const weights_of_columns of(by[writes]);
    weigh(scores, of_reads, of, s.read, s.written);
    weigh(probed, of_probes, of, 0, s.written);
  }
  {
    const weights_of_columns of(by[corrections]);
    weigh(of_corrections, of_reads, of, s.read, 1);
    weigh(reflected, of_probes, of, 0, 1);
  }
  store(of_corrections, shared.of_corrections);
  store(probed, shared.probed);
  pairs_of(reflected, [&](unsigned i, unsigned k, float x, float y) { put(&shared.reflected[i][k], x, y); });
  __syncthreads();

  invert(shared.reflected, shared.exact_inverse);
  __syncthreads();
#pragma unroll
  for (unsigned e = 4 * threadIdx.x; e < head_tokens * head_tokens; e += 4 * prepare_threads) {
    const unsigned i = e / head_tokens, j = e % head_tokens;
    const float4 x = *reinterpret_cast<const float4*>(&shared.exact_inverse[i][j]),
                 row_by = *reinterpret_cast<const float4*>(&by[probes].of_row[j]);
    *reinterpret_cast<uint2*>(&shared.inverse[i][j]) = {bf16::rounded({x.x, x.y}), bf16::rounded({x.z, x.w})};
    *reinterpret_cast<uint2*>(&shared.of_rows[i][j]) = {bf16::rounded({x.x * row_by.x, x.y * row_by.y}),
                                                        bf16::rounded({x.z * row_by.z, x.w * row_by.w})};
  }
  __syncthreads();
  square_tile solved;
  add_rows(solved, shared.inverse, shared.probed);
  __syncthreads();
  store(solved, shared.probed);
  pairs_of(solved, [&](unsigned i, unsigned k, float x, float y) {
    put(&shared.probed_to_end[i][k], x * by[corrections].of_row[i], y * by[corrections].of_row[i]);
  });
  __syncthreads();
  add_rows(scores, shared.of_corrections, shared.probed);
  store(scores, s.scores + place * head_tokens * head_tokens, head_tokens, head_tokens);

  for (unsigned first = 0; first < s.wide_states; first += head_slice) {
    if (s.states > head_slice) {
      __syncthreads();
      fetch_rows(first);
      arrived();
    }
    const unsigned columns = s.wide_states - first;
    const auto weighted = [&](row_stream k) {
      square_tile to;
      pairs_of(to, [&](unsigned i, unsigned n, float& x, float& y) {
        const float2 two = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&shared.rows[at[k]][i][n]));
        x = two.x * by[k].of_row[i], y = two.y * by[k].of_row[i];
      });
      return to;
    };
    square_tile probe;
    add_rows(probe, shared.of_rows, shared.rows[at[probes]]);
    store(probe, shared.solved);
    store(probe, c.probes + rows + first, s.wide_states, columns);
    store(weighted(corrections), c.corrections + rows + first, s.wide_states, columns);
    square_tile write = weighted(writes);
    write.add<head_tokens>(by_columns<row>(&shared.probed_to_end[0][warp.row]),
                           by_rows<row>(&shared.rows[at[corrections]][0][warp.column]));
    store(write, s.writes + rows + first, s.wide_states, columns);
    __syncthreads();
    square_tile read = weighted(reads);
    add_rows(read, shared.of_corrections, shared.solved);
    store(read, s.reads + rows + first, s.wide_states, columns);
  }
}

}  // namespace

void prepare_corrected(const chunked_heads<number>& s, const corrected_heads<number>& c) {
  constexpr std::size_t bytes = sizeof(corrected_chunk);
  check(cudaFuncSetAttribute(prepare, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  const dim3 chunks(s.chunks, static_cast<unsigned>(s.heads.entries));
  launch(weigh_tokens, chunks, dim3(prepare_threads), 0, s, c);
  launch(prepare, chunks, dim3(prepare_threads), bytes, s, c);
}

}  // namespace alphaform::cuda

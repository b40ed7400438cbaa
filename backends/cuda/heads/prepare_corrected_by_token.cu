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

/// What the tokens of one stream are weighted by: for a score by u and 2 to the decays before the place where it is
/// read or written, for a row by the decays from the chunk's beginning, or to its end.
struct weights_of_stream final {
  float u[head_tokens], power[head_tokens], edge[head_tokens];
};
/// A chunk in shared memory; parts that are not needed at the same time lie at the same place.
struct corrected_chunk final {
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
  weights_of_stream weights[row_streams];
  log_sums decays;
  logarithms log;
};

/// Where a chunk's tokens of one stream begin.
struct tokens_of_stream final {
  const float* u;
  const number* v;
  std::int64_t u_token, v_token;
  __device__ tokens_of_stream(const head_factors<number>& f, std::int64_t u_first, std::int64_t v_first,
                              std::int64_t token)
      : u(f.u + u_first + token * f.u_token),
        v(f.v + v_first + token * f.v_token),
        u_token(f.u_token),
        v_token(f.v_token) {}
  __device__ bool has_rows_of(const tokens_of_stream& other) const { return v == other.v && v_token == other.v_token; }
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

/// The decays of a chunk, and what tokens are weighted by.
__device__ inline void find_weights(const chunked_heads<number>& s, unsigned chunk,
                                    const tokens_of_stream (&streams)[row_streams], corrected_chunk& shared) {
  const unsigned i = threadIdx.x % head_tokens, stream = threadIdx.x / head_tokens;
  static_assert(prepare_threads == row_streams * head_tokens);
  const bool exists = i < s.count(chunk);
  if (stream == 0) {
    const auto at = places_of(s.heads, blockIdx.y);
    const std::int64_t token = static_cast<std::int64_t>(chunk) * head_tokens + (exists ? i : 0);
    shared.log.set(i, exists, s.of.decay.u[at.at[decay_u] + token * s.of.decay.u_token],
                   s.of.decay.v[at.at[decay_v] + token * s.of.decay.v_token], s.logarithmic);
  }
  const tokens_of_stream& own = streams[stream];
  const float u = exists ? own.u[i * own.u_token] : 0;
  __syncthreads();
  shared.decays.fill(shared.log);
  __syncthreads();
  const bool is_read = stream == reads || stream == probes;
  const unsigned of_stream[row_streams]{s.read, 0, s.written, 1}, place = i + of_stream[stream];
  weights_of_stream& to = shared.weights[stream];
  to.u[i] = u * shared.decays.sign(0, place);
  to.power[i] = shared.decays.of_2(place);
  to.edge[i] = u * (is_read ? shared.decays.between(0, place) : shared.decays.between(place, head_tokens));
  const std::size_t kept = s.place(blockIdx.y, chunk) * s.wide_states;
  for (unsigned n = threadIdx.x; n < s.wide_states; n += prepare_threads) s.kept[kept + n] = shared.decays.of_all();
}

/// Makes scores of products.
__device__ inline void weigh(square_tile& sums, const weights_of_stream& read, const weights_of_stream& write,
                             unsigned read_place, unsigned written_place) {
  pairs_of(sums, [&](unsigned i, unsigned j, float& score, float& next) {
    const auto weight = [&](unsigned at) {
      return at + written_place <= i + read_place ? read.u[i] * write.u[at] * exp2f(read.power[i] - write.power[at])
                                                  : 0;
    };
    score *= weight(j), next *= weight(j + 1);
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
  const tokens_of_stream streams[row_streams]{{s.of.read, own.at[read_u], own.at[read_v], token},
                                              {c.q, more.at[0], more.at[1], token},
                                              {s.of.write, own.at[write_u], own.at[write_v], token},
                                              {c.p, more.at[2], more.at[3], token}};
  const auto first_like = [&](unsigned k) {
    unsigned first = 0;
    while (!streams[first].has_rows_of(streams[k])) ++first;
    return first;
  };
  const unsigned at[row_streams]{0, first_like(probes), first_like(writes), first_like(corrections)};
  const auto fetch_rows = [&](unsigned first) {
#pragma unroll
    for (unsigned k = reads; k < row_streams; ++k)
      if (at[k] == k)
        fetch<head_slice, prepare_threads>(shared.rows[k], streams[k].v + first, streams[k].v_token, count,
                                           s.states - first);
    __pipeline_commit();
  };
  fetch_rows(0);
  find_weights(s, chunk, streams, shared);

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
  const weights_of_stream(&by)[row_streams] = shared.weights;
  weigh(scores, by[reads], by[writes], s.read, s.written);
  weigh(of_corrections, by[reads], by[corrections], s.read, 1);
  weigh(probed, by[probes], by[writes], 0, s.written);
  weigh(reflected, by[probes], by[corrections], 0, 1);
  store(of_corrections, shared.of_corrections);
  store(probed, shared.probed);
  pairs_of(reflected, [&](unsigned i, unsigned k, float x, float y) { put(&shared.reflected[i][k], x, y); });
  __syncthreads();

  invert(shared.reflected, shared.exact_inverse);
  __syncthreads();
  for (unsigned e = 2 * threadIdx.x; e < head_tokens * head_tokens; e += 2 * prepare_threads) {
    const unsigned i = e / head_tokens, j = e % head_tokens;
    const float one = shared.exact_inverse[i][j], next = shared.exact_inverse[i][j + 1];
    put(&shared.inverse[i][j], one, next);
    put(&shared.of_rows[i][j], one * by[probes].edge[j], next * by[probes].edge[j + 1]);
  }
  __syncthreads();
  square_tile solved;
  add_rows(solved, shared.inverse, shared.probed);
  __syncthreads();
  store(solved, shared.probed);
  pairs_of(solved, [&](unsigned i, unsigned k, float x, float y) {
    put(&shared.probed_to_end[i][k], x * by[corrections].edge[i], y * by[corrections].edge[i]);
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
        x = two.x * by[k].edge[i], y = two.y * by[k].edge[i];
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
  launch(prepare, dim3(s.chunks, static_cast<unsigned>(s.heads.entries)), dim3(prepare_threads), bytes, s, c);
}

}  // namespace alphaform::cuda

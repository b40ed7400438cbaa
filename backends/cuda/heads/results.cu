// y of every chunk: the scores times its tokens, and what reads the state before it.
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

/// That are read ahead, and multiplied.
template <class Number>
constexpr unsigned stages_of = sizeof(Number) == 2 ? 3 : 2;
template <class Number, unsigned Channels>
struct factors final {
  static constexpr unsigned row = Channels + 8;
  Number rows[head_tokens][row_of_depth<Number>];
  Number columns[depth<Number>][row];
};

/// Makes scores of products.
template <unsigned Threads, unsigned Row>
__device__ inline void weigh(bf16::number (&products)[head_tokens][Row], const score_factors& by, bool strict) {
  constexpr unsigned at_once = 8, in_row = head_tokens / at_once;
  for (unsigned e = threadIdx.x; e < head_tokens * in_row; e += Threads) {
    const unsigned i = e / in_row, first = e % in_row * at_once;
    const float read = by.read[i], decay = by.decay_read[i];
    auto* const pairs = reinterpret_cast<__nv_bfloat162*>(&products[i][first]);
#pragma unroll
    for (unsigned k = 0; k < at_once; k += 2) {
      const unsigned j = first + k;
      const float2 product = __bfloat1622float2(pairs[k / 2]);
      const auto weight = [&](unsigned at) {
        return i >= at + strict ? read * by.write[at] * exp2f(decay - by.decay_written[at]) : 0;
      };
      pairs[k / 2] = __floats2bfloat162_rn(product.x * weight(j), product.y * weight(j + 1));
    }
  }
}

/// Some channels. @tparam Weighted  what reads is a stream, with weights; scores of bfloat16 are made of products
template <class Number, unsigned Channels, bool Weighted>
__global__ void __launch_bounds__(2 * Channels) read(const chunked_heads<Number> s) {
  constexpr unsigned threads = 2 * Channels, depth = cuda::depth<Number>, stages = stages_of<Number>;
  constexpr bool is_exact = std::is_same_v<Number, float>;
  static_assert(is_exact || depth == head_tokens, "all scores are weighed at once");
  using factors = factors<Number, Channels>;
  auto* const ahead = shared_memory<factors>();
  __shared__ alignas(16) score_factors weights;
  const unsigned channel = blockIdx.x * Channels, chunk = blockIdx.y;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t place = s.place(blockIdx.z, chunk);
  const std::size_t of_scores =
      is_exact || !Weighted ? place : s.place(static_cast<unsigned>(at.at[head_product]), chunk);
  const Number* const scores = (is_exact || !Weighted ? s.scores : s.products) + of_scores * head_tokens * head_tokens;
  const Number* const states = s.states_before + s.state_at(place) + channel;
  const head_rows<Number> reads = s.rows_that_read(place, chunk, at.at[read_v]);
  const unsigned count = s.count(chunk), of_states = (s.wide_states + depth - 1) / depth;
  const auto begin = [&](unsigned step) {
    factors& to = ahead[step % stages];
    if (step < of_states) {
      const unsigned n = step * depth;
      fetch<depth, threads>(to.rows, reads.at + n, reads.token, Weighted ? count : head_tokens,
                            reads.states - min(reads.states, n));
      fetch<Channels, threads>(to.columns, states + static_cast<std::size_t>(n) * s.wide_channels, s.wide_channels,
                               s.wide_states - n, s.wide_channels - channel);
    } else if (const unsigned token = (step - of_states) * depth; token < head_tokens) {
      fetch<depth, threads>(to.rows, scores + token, head_tokens, head_tokens, depth);
      fetch_tokens<threads, Channels>(to.columns, s, s.x + at.at[head_x], chunk, token, channel);
    }
    __pipeline_commit();
  };
  if (!is_exact && Weighted && threadIdx.x < sizeof weights / 16)
    __pipeline_memcpy_async(reinterpret_cast<float4*>(&weights) + threadIdx.x,
                            reinterpret_cast<const float4*>(s.weights_of_scores + place) + threadIdx.x, 16);
  const warp_place warp = place_of_warp<32, Channels>();
  tile_of<Number, 2, 4> sums;
  for (unsigned step = 0; step + 1 < stages; ++step) begin(step);
  for (unsigned step = 0; step < of_states + head_tokens / depth; ++step) {
    // With more than two stages, the one that is read into next was last read before the barrier.
    constexpr bool one_barrier = stages > 2;
    if (!one_barrier) begin(step + stages - 1);
    __pipeline_wait_prior(one_barrier ? stages - 2 : stages - 1);
    __syncthreads();
    if (one_barrier) begin(step + stages - 1);
    factors& here = ahead[step % stages];
    if (Weighted && step == of_states) {
      sums.pairs([&](unsigned i, unsigned, float& y, float& next) {
        const float weight = s.read_weights[place * head_tokens + warp.row + i];
        y *= weight, next *= weight;
      });
      if constexpr (!is_exact) {
        weigh<threads>(here.rows, weights, s.strict);
        __syncthreads();
      }
    }
    sums.template add<depth>(by_rows<row_of_depth<Number>>(here.rows[warp.row]),
                             by_rows<factors::row>(&here.columns[0][warp.column]));
    if (!one_barrier) __syncthreads();
  }
  const unsigned first = channel + warp.column, columns = s.channels - min(s.channels, first),
                 rows = count - min(count, warp.row);
  const auto of_y = [&](auto* y) {
    return y + at.at[head_y] + static_cast<std::int64_t>(chunk * head_tokens + warp.row) * s.y_token +
           static_cast<std::int64_t>(first) * s.y_chan;
  };
  if (s.rounded_y != nullptr && s.y_lies_together) {
    sums.two_pairs([&](unsigned i, unsigned k, float2 one, float2 other) {
      const bf16::four_of_row four(one, other);
      k += four.further;
      if (i < rows && k < columns) *reinterpret_cast<uint2*>(of_y(s.rounded_y) + i * s.y_token + k) = four.numbers;
    });
    return;
  }
  sums.pairs([&](unsigned i, unsigned k, float& sum, float& next) {
    if (i >= rows || k >= columns) return;
    const std::int64_t entry = i * s.y_token + static_cast<std::int64_t>(k) * s.y_chan;
    if (s.rounded_y != nullptr) {
      of_y(s.rounded_y)[entry] = bf16::number(sum);
      if (k + 1 < columns) of_y(s.rounded_y)[entry + s.y_chan] = bf16::number(next);
    } else if (s.y_lies_together) {
      put(of_y(s.y) + entry, sum, next);
    } else {
      of_y(s.y)[entry] = sum;
      if (k + 1 < columns) of_y(s.y)[entry + s.y_chan] = next;
    }
  });
}

template <unsigned Channels, class Number>
void read_in_blocks(const chunked_heads<Number>& s) {
  const auto kernel = s.reads == nullptr ? read<Number, Channels, true> : read<Number, Channels, false>;
  constexpr std::size_t bytes = stages_of<Number> * sizeof(factors<Number, Channels>);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3((s.wide_channels + Channels - 1) / Channels, s.chunks, static_cast<unsigned>(s.heads.entries)),
         dim3(2 * Channels), bytes, s);
}

}  // namespace

template <>
void read_chunks(const chunked_heads<float>& s) {
  read_in_blocks<64>(s);
}
template <>
void read_chunks(const chunked_heads<bf16::number>& s) {
  s.wide_channels > 64 ? read_in_blocks<128>(s) : read_in_blocks<64>(s);
}

}  // namespace alphaform::cuda

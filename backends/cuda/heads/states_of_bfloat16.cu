// The states before chunks of heads in bfloat16: always from chunk to chunk, so that what one adds is not rounded.
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

using bf16::number;

constexpr unsigned threads = 256, stages = 4, channels_each = 64;

/// What a chunk brings for some states and 64 channels.
template <unsigned States>
struct brought final {
  static constexpr unsigned row = States + 8;
  number writes[head_tokens][row], x[head_tokens][row_of_panel];
  number weights[head_tokens];
  double kept[States];
};

/// What one thread copies of rows of a chunk's tokens, chunk after chunk.
template <unsigned Columns>
class copied_rows final {
  static constexpr unsigned in_row = Columns / 8, apart = threads / in_row;

 public:
  __device__ copied_rows(const number* first, std::int64_t token, unsigned columns)
      : from_(first + threadIdx.x / in_row * token + threadIdx.x % in_row * 8),
        token_(token),
        exists_(threadIdx.x % in_row * 8 < columns) {}
  template <unsigned Row>
  __device__ void fetch(number (&to)[head_tokens][Row], unsigned rows) {
#pragma unroll
    for (unsigned k = 0; k < head_tokens / apart; ++k) {
      const unsigned i = threadIdx.x / in_row + k * apart;
      const bool exists = exists_ && i < rows;
      __pipeline_memcpy_async(&to[i][threadIdx.x % in_row * 8], from_ + static_cast<int>(k * apart) * token_, 16,
                              exists ? 0 : 16);
    }
    from_ += static_cast<int>(head_tokens) * token_;
  }

 private:
  const number* from_;
  std::int64_t token_;
  bool exists_;
};

/// Some states of 64 channels through all chunks. @tparam Weighted  what is written is a stream, with weights
template <unsigned States, bool Weighted>
__global__ void __launch_bounds__(threads) follow(const chunked_heads<number> s) {
  auto* const ahead = shared_memory<brought<States>>();
  constexpr unsigned tall = States / 32;
  const unsigned state = blockIdx.x * States, channel = blockIdx.y * channels_each;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t first = s.place(blockIdx.z, 0);
  const head_rows<number> rows = s.rows_that_write(first, 0, at.at[write_v]);
  copied_rows<States> writes(rows.at + state, rows.token, rows.states - min(rows.states, state));
  copied_rows<channels_each> x(s.x + at.at[head_x] + channel, s.x_token, s.channels - channel);
  const auto begin = [&](unsigned chunk) {
    if (chunk < s.chunks) {
      brought<States>& to = ahead[chunk % stages];
      const unsigned count = s.count(chunk), i = threadIdx.x;
      writes.fetch(to.writes, Weighted ? count : head_tokens);
      if (s.x_lies_together)
        x.fetch(to.x, count);
      else
        fetch_tokens<threads>(to.x, s, s.x + at.at[head_x], chunk, 0, channel);
      if (Weighted && i < head_tokens / 8)
        __pipeline_memcpy_async(&to.weights[8 * i], s.write_weights + (first + chunk) * head_tokens + 8 * i, 16);
      if (2 * i < States && state + 2 * i < s.wide_states)
        __pipeline_memcpy_async(&to.kept[2 * i], s.kept + (first + chunk) * s.wide_states + state + 2 * i, 16);
    }
    __pipeline_commit();
  };
  for (unsigned chunk = 0; chunk + 1 < stages; ++chunk) begin(chunk);
  const unsigned row = threadIdx.x / 128 * (States / 2), column = threadIdx.x / 32 % 4 * 16;
  const auto left = [](unsigned all, unsigned from) { return all > from ? all - from : 0; };
  const unsigned rows_kept = left(s.wide_states, state + row), columns_kept = left(s.wide_channels, channel + column),
                 states = left(s.states, state + row), channels = left(s.channels, channel + column);
  float* const h = s.h + at.at[head_h] + static_cast<std::int64_t>(state + row) * s.h_state +
                   static_cast<std::int64_t>(channel + column) * s.h_chan;
  const auto of_h = [&](unsigned i, unsigned k) -> float& {
    return h[static_cast<std::int64_t>(i) * s.h_state + static_cast<std::int64_t>(k) * s.h_chan];
  };
  bf16::tile<tall, 2> sums;
  sums.pairs([&](unsigned i, unsigned k, float& sum, float& next) {
    if (i < states && k < channels) sum = of_h(i, k);
    if (i < states && k + 1 < channels) next = of_h(i, k + 1);
  });
  number* before =
      s.states_before + s.state_at(first) + static_cast<std::size_t>(state + row) * s.wide_channels + channel + column;
  for (unsigned chunk = 0; chunk < s.chunks; ++chunk) {
    __pipeline_wait_prior(stages - 2);
    __syncthreads();
    begin(chunk + stages - 1);  // into what was last read before this barrier
    const brought<States>& here = ahead[chunk % stages];
    bf16::tile<tall, 2> added;
    added.template add<head_tokens>(by_columns<brought<States>::row>(&here.writes[0][row]),
                                    by_rows<row_of_panel>(&here.x[0][column]), Weighted ? here.weights : nullptr);
    sums.two_pairs([&](unsigned i, unsigned k, float2 one, float2 other) {  // while products are made
      const bf16::four_of_row four(one, other);
      if (i < rows_kept && columns_kept > 0)  // 16 of them
        *reinterpret_cast<uint2*>(before + i * s.wide_channels + k + four.further) = four.numbers;
    });
    before += static_cast<std::size_t>(s.wide_states) * s.wide_channels;
    sums.with(added, [&](unsigned i, unsigned, float& sum, float more) {
      const auto change = static_cast<float>(here.kept[row + i] - 1);  // a decay near 1 would be rounded each time
      sum += fmaf(change, sum, more);
    });
  }
  sums.pairs([&](unsigned i, unsigned k, float sum, float next) {
    if (i < states && k < channels) of_h(i, k) = sum;
    if (i < states && k + 1 < channels) of_h(i, k + 1) = next;
  });
}

template <unsigned States>
void follow_chunks(const chunked_heads<number>& s) {
  const auto kernel = s.writes == nullptr ? follow<States, true> : follow<States, false>;
  constexpr std::size_t bytes = stages * sizeof(brought<States>);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel,
         dim3((s.wide_states + States - 1) / States, (s.wide_channels + channels_each - 1) / channels_each,
              static_cast<unsigned>(s.heads.entries)),
         dim3(threads), bytes, s);
}

}  // namespace

template <>
void find_states(const chunked_heads<number>& s) {
  const std::size_t blocks =
      s.heads.entries * ((s.wide_states + 63) / 64) * ((s.wide_channels + channels_each - 1) / channels_each);
  4 * blocks >= 3 * static_cast<std::size_t>(processors()) ? follow_chunks<64>(s) : follow_chunks<32>(s);
}

}  // namespace alphaform::cuda

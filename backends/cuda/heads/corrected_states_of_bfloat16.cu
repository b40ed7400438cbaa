// The states before chunks of heads with corrections in bfloat16: a warp takes all states of 16 channels from chunk to
// chunk in its registers, channels along rows, so that states and corrections are what it multiplies from the left
// without leaving them. Other warps read ahead.
#include <alphaform/backends/cuda/heads/corrected.cuh>
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

using bf16::number;

constexpr unsigned some_channels = 16, readers = 128;

/// What a chunk brings for all states and some channels.
template <unsigned States, unsigned Channels>
struct alignas(16) brought final {
  static constexpr unsigned row = States + 8, x_row = Channels + 8;
  number probes[head_tokens][row], corrections[head_tokens][row], writes[head_tokens][row];
  number x[head_tokens][x_row];
  double kept;  ///< by every state
};

/// Reads a chunk, by the last warps of a block.
template <unsigned States, unsigned Channels>
class chunk_reader final {
 public:
  __device__ chunk_reader(const chunked_heads<number>& s, const corrected_heads<number>& c, unsigned channel)
      : s_(s), c_(c), channel_(channel), x_(s.x + places_of(s.heads, blockIdx.y).at[head_x]) {}
  __device__ void read(unsigned chunk, unsigned reader, brought<States, Channels>& to) const {
    const std::size_t place = s_.place(blockIdx.y, chunk), rows = s_.rows_at(place);
    fetch(to.probes, c_.probes + rows, s_.wide_states, head_tokens, s_.wide_states, reader);
    fetch(to.corrections, c_.corrections + rows, s_.wide_states, head_tokens, s_.wide_states, reader);
    fetch(to.writes, s_.writes + rows, s_.wide_states, head_tokens, s_.wide_states, reader);
    const unsigned count = s_.count(chunk);
    const number* const x = x_ + static_cast<std::int64_t>(chunk) * head_tokens * s_.x_token;
    if (s_.x_lies_together)
      fetch(to.x, x + channel_, s_.x_token, count, s_.channels - min(s_.channels, channel_), reader);
    else
      for (unsigned e = reader; e < head_tokens * Channels; e += readers) {
        const unsigned i = e / Channels, k = e % Channels;
        to.x[i][k] = i < count && channel_ + k < s_.channels
                         ? x[i * s_.x_token + static_cast<std::int64_t>(channel_ + k) * s_.x_chan]
                         : number(0.0f);
      }
    if (reader == 0) __pipeline_memcpy_async(&to.kept, s_.kept + place, sizeof to.kept);
  }

 private:
  /// 0 where there are no rows and columns.
  template <unsigned Row>
  __device__ static void fetch(number (&to)[head_tokens][Row], const number* from, std::int64_t apart, unsigned rows,
                               unsigned columns, unsigned reader) {
    constexpr unsigned in_row = (Row - 8) / 8, step = readers / in_row;
    const unsigned k = reader % in_row * 8;
#pragma unroll
    for (unsigned i = reader / in_row; i < head_tokens; i += step) {
      const bool exists = i < rows && k < columns;
      __pipeline_memcpy_async(&to[i][k], exists ? from + i * apart + k : from, 16, exists ? 0 : 16);
    }
  }

  const chunked_heads<number>& s_;
  const corrected_heads<number>& c_;
  unsigned channel_;
  const number* x_;
};

/// @tparam Warps  of 16 channels each
template <unsigned States, unsigned Warps>
__global__ void __launch_bounds__(Warps * 32 + readers)
    follow(const chunked_heads<number> s, const corrected_heads<number> c) {
  constexpr unsigned channels_each = Warps * some_channels, stages = States > 64 ? 3 : 4;
  using brought = brought<States, channels_each>;
  auto* const ahead = shared_memory<brought>();
  // By a shuffle, so that the compiler knows it to be one number for a warp.
  const unsigned warp = __shfl_sync(~0u, threadIdx.x / 32, 0), first = blockIdx.x * channels_each;
  const bool is_reader = warp >= Warps;
  const chunk_reader<States, channels_each> chunks(s, c, first);
  const auto read = [&](unsigned chunk) {
    if (chunk < s.chunks) chunks.read(chunk, threadIdx.x - 32 * Warps, ahead[chunk % stages]);
    __pipeline_commit();
  };
  const unsigned channel = first + warp * some_channels, lane = threadIdx.x % 32;
  const bool is_kept = channel < s.wide_channels;
  const auto exists = [&](unsigned n, unsigned k) { return !is_reader && n < s.states && channel + k < s.channels; };
  float* const h = s.h + places_of(s.heads, blockIdx.y).at[head_h];
  const auto of_h = [&](unsigned n, unsigned k) -> float& {
    return h[static_cast<std::int64_t>(n) * s.h_state + static_cast<std::int64_t>(channel + k) * s.h_chan];
  };
  bf16::tile<1, States / 8> sums;
  sums.pairs([&](unsigned k, unsigned n, float& sum, float& next) {
    if (exists(n, k)) sum = of_h(n, k);
    if (exists(n + 1, k)) next = of_h(n + 1, k);
  });
  const unsigned rows_kept = is_kept ? s.wide_states : 0, apart = 8 * s.wide_channels;
  number* before = s.states_before + s.state_at(s.place(blockIdx.y, 0)) + channel +
                   static_cast<std::size_t>(lane / 4) * s.wide_channels + bf16::four_of_row::first_column();
  if (is_reader)
    for (unsigned chunk = 0; chunk + 1 < stages; ++chunk) read(chunk);
  for (unsigned chunk = 0; chunk < s.chunks; ++chunk) {
    if (is_reader) __pipeline_wait_prior(stages - 2);
    __syncthreads();
    if (is_reader) {
      read(chunk + stages - 1);  // where the chunk before was
      continue;
    }
    const brought& here = ahead[chunk % stages];
    const bf16::left_factor<States> state = sums.as_left();
    bf16::tile<1, head_tokens / 8> correction;
    correction.add(state, by_columns<brought::row>(here.probes[0]));
    bf16::tile<1, States / 8> added;
    added.add(bf16::read_left<head_tokens>(by_columns<brought::x_row>(&here.x[0][warp * some_channels])),
              by_rows<brought::row>(here.writes[0]));
#pragma unroll
    for (unsigned n = 0; n < States; n += 8) {  // while products are made
      const unsigned(&pair)[4] = state.at[n / 16];
      const unsigned half = n % 16 / 8 * 2;
      const bf16::four_of_row four(bf16::transposed(pair[half]), bf16::transposed(pair[half + 1]));
      if (n < rows_kept) *reinterpret_cast<uint2*>(before + n / 8 * apart) = four.numbers;
    }
    before += static_cast<std::size_t>(s.wide_states) * s.wide_channels;
    added.add(correction.as_left(), by_rows<brought::row>(here.corrections[0]));
    const auto change = static_cast<float>(here.kept - 1);  // a decay near 1 would be rounded each time
    sums.with(added, [&](unsigned, unsigned, float& sum, float more) { sum += fmaf(change, sum, more); });
  }
  sums.pairs([&](unsigned k, unsigned n, float sum, float next) {
    if (exists(n, k)) of_h(n, k) = sum;
    if (exists(n + 1, k)) of_h(n + 1, k) = next;
  });
}

template <unsigned States, unsigned Warps>
void follow_chunks(const chunked_heads<number>& s, const corrected_heads<number>& c) {
  constexpr unsigned channels_each = Warps * some_channels, stages = States > 64 ? 3 : 4;
  constexpr std::size_t bytes = stages * sizeof(brought<States, channels_each>);
  const auto kernel = follow<States, Warps>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "share memory in blocks");
  launch(kernel, dim3((s.wide_channels + channels_each - 1) / channels_each, static_cast<unsigned>(s.heads.entries)),
         dim3(Warps * 32 + readers), bytes, s, c);
}

}  // namespace

void find_states(const chunked_heads<number>& s, const corrected_heads<number>& c) {
  s.wide_states <= 64 ? follow_chunks<64, 2>(s, c) : follow_chunks<128, 2>(s, c);
}

}  // namespace alphaform::cuda

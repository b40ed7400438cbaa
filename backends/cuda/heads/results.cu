// y of every chunk: the scores times its tokens, and what reads the state before it.
#include <alphaform/backends/cuda/heads/panels.cuh>
#include <alphaform/backends/cuda/shared_memory.cuh>

namespace alphaform::cuda {
namespace {

/// That are read ahead, and multiplied.
template <class Number>
constexpr unsigned stages_of = sizeof(Number) == 2 ? 3 : 2;
template <class Number>
struct factors final {
  Number rows[panel][row_of_depth<Number>];
  Number columns[depth<Number>][row_of_panel];
};

/// 64 channels.
template <class Number>
__global__ void __launch_bounds__(panel_threads) read(const chunked_heads<Number> s) {
  constexpr unsigned depth = cuda::depth<Number>;
  constexpr unsigned stages = stages_of<Number>;
  auto* const ahead = shared_memory<factors<Number>>();
  const unsigned channel = blockIdx.x * panel, chunk = blockIdx.y;
  const auto at = places_of(s.heads, blockIdx.z);
  const std::size_t place = s.place(blockIdx.z, chunk);
  const Number* const scores = s.scores + place * head_tokens * head_tokens;
  const Number* const states = s.states_before + s.state_at(place) + channel;
  const head_rows<Number> reads = s.rows_that_read(place, chunk, at.at[read_v]);
  const unsigned count = s.count(chunk), of_states = (s.wide_states + depth - 1) / depth;
  const auto begin = [&](unsigned step) {
    factors<Number>& to = ahead[step % stages];
    if (step < of_states) {
      const unsigned n = step * depth;
      fetch<depth>(to.rows, reads.at + n, reads.token, reads.weights == nullptr ? panel : count,
                   reads.states - min(reads.states, n));
      fetch<panel>(to.columns, states + static_cast<std::size_t>(n) * s.wide_channels, s.wide_channels,
                   s.wide_states - n, s.wide_channels - channel);
    } else if (const unsigned token = (step - of_states) * depth; token < head_tokens) {
      fetch<depth>(to.rows, scores + token, head_tokens, panel, depth);
      fetch_tokens(to.columns, s, s.x + at.at[head_x], chunk, token, channel);
    }
    __pipeline_commit();
  };
  const warp_place warp = place_of_warp();
  tile_of<Number, 2, 4> sums;
  for (unsigned step = 0; step + 1 < stages; ++step) begin(step);
  for (unsigned step = 0; step < of_states + head_tokens / depth; ++step) {
    // With more than two stages, the one that is read into next was last read before the barrier.
    constexpr bool one_barrier = stages > 2;
    if (!one_barrier) begin(step + stages - 1);
    __pipeline_wait_prior(one_barrier ? stages - 2 : stages - 1);
    __syncthreads();
    if (one_barrier) begin(step + stages - 1);
    if (step == of_states && reads.weights != nullptr)
      sums.pairs([&](unsigned i, unsigned, float& y, float& next) {
        const float weight = reads.weights[warp.row + i];
        y *= weight, next *= weight;
      });
    const factors<Number>& here = ahead[step % stages];
    sums.template add<depth>(by_rows<row_of_depth<Number>>(here.rows[warp.row]),
                             by_rows<row_of_panel>(&here.columns[0][warp.column]));
    if (!one_barrier) __syncthreads();
  }
  const auto store = [&]<class Result>(Result* y) {
    y += at.at[head_y] + static_cast<std::int64_t>(chunk) * head_tokens * s.y_token;
    sums.pairs([&](unsigned i, unsigned k, float sum, float next) {
      const unsigned token = warp.row + i, to = channel + warp.column + k;
      if (token >= count || to >= s.channels) return;
      Result* const entry = y + token * s.y_token + static_cast<std::int64_t>(to) * s.y_chan;
      if (s.y_lies_together) {
        put(entry, sum, next);
      } else {
        entry[0] = Result(sum);
        if (to + 1 < s.channels) entry[s.y_chan] = Result(next);
      }
    });
  };
  s.y != nullptr ? store(s.y) : store(s.rounded_y);
}

}  // namespace

template <class Number>
void read_chunks(const chunked_heads<Number>& s) {
  constexpr std::size_t bytes = stages_of<Number> * sizeof(factors<Number>);
  check(cudaFuncSetAttribute(read<Number>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "share memory in blocks");
  launch(read<Number>, dim3((s.wide_channels + panel - 1) / panel, s.chunks, static_cast<unsigned>(s.heads.entries)),
         dim3(panel_threads), bytes, s);
}

template void read_chunks(const chunked_heads<float>&);
template void read_chunks(const chunked_heads<bf16::number>&);

}  // namespace alphaform::cuda

// Heads in ranges of chunks: rows and scores, then states, then results.
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>

namespace alphaform::cuda {

void unrolled_heads(bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  chunked_heads s = placed(adjoint, r, x, h, y);
  const bool by_token = r.decay.v.of(axis::state) == 1 && !r.bonus && takes_streams(s);
  const std::size_t heads = s.heads.entries, state = std::size_t{s.wide_states} * s.wide_channels,
                    square = head_tokens * head_tokens, rows = head_tokens * (by_token ? 1 : s.wide_states);
  const ranges_of_chunks ranges(y.of(axis::token), heads * (state + 2 * rows + 2 * square) * sizeof(float));
  const std::size_t most = ranges.at_once() * heads;
  const scratch<float> reads(most * rows), writes(most * rows), scores(most * square), states(most * state),
      products(by_token ? ranges.at_once() * s.streams.entries * square : 1);
  const scratch<double> kept(most * s.wide_states);
  (by_token ? s.read_weights : s.reads) = reads.data();
  (by_token ? s.write_weights : s.writes) = writes.data();
  s.products = products.data();
  s.scores = scores.data();
  s.states_before = states.data();
  s.kept = kept.data();
  ranges.each([&](const range_of_chunks& range) {
    const chunked_heads here = range.of(s);
    by_token ? prepare_by_token(here) : prepare_by_state(here);
    find_states(here);
    read_chunks(here);
  });
}

}  // namespace alphaform::cuda

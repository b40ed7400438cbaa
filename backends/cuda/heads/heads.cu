// Heads in ranges of chunks: rows and scores, then states, then results.
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>
#include <alphaform/backends/cuda/heads/rounded.cuh>
#include <alphaform/backends/cuda/widened.hpp>

namespace alphaform::cuda {
namespace {

template <class Number>
void run(bool adjoint, const recurrence<float>& r, const head_inputs<Number>& inputs, out h, out y) {
  chunked_heads<Number> s = placed(adjoint, r, inputs, h, y);
  const bool by_token = r.decay.v.of(axis::state) == 1 && !r.bonus && takes_streams(s);
  const std::size_t heads = s.heads.entries, state = std::size_t{s.wide_states} * s.wide_channels,
                    square = head_tokens * head_tokens, rows = by_token ? head_tokens : head_tokens * s.wide_states;
  constexpr bool is_exact = std::is_same_v<Number, float>;
  const std::size_t bytes = heads * ((state + 2 * square) * sizeof(Number) + 2 * rows * sizeof(Number));
  const ranges_of_chunks ranges(y.of(axis::token), bytes);
  const std::size_t most = ranges.at_once() * heads;
  const scratch<Number> reads(by_token ? 1 : most * rows), writes(by_token ? 1 : most * rows),
      scores(by_token && !is_exact ? 1 : most * square), states(most * state);
  const scratch<float> read_weights(by_token ? most * head_tokens : 1);
  const scratch<Number> write_weights(by_token ? most * head_tokens : 1),
      products(by_token ? ranges.at_once() * s.streams.entries * square : 1);
  const scratch<score_factors> weights_of_scores(by_token && !is_exact ? most : 1);
  const scratch<double> kept(most * s.wide_states);
  s.reads = by_token ? nullptr : reads.data();
  s.writes = by_token ? nullptr : writes.data();
  s.read_weights = read_weights.data();
  s.write_weights = write_weights.data();
  s.products = products.data();
  s.weights_of_scores = weights_of_scores.data();
  s.scores = scores.data();
  s.states_before = states.data();
  s.kept = kept.data();
  ranges.each([&](const range_of_chunks& range) {
    const chunked_heads<Number> here = range.of(s);
    by_token ? prepare_by_token(here) : prepare_by_state(here);
    find_states(here);
    read_chunks(here);
  });
}

}  // namespace

void unrolled_heads(product_precision precision, bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  float32_copies whole;
  if (precision == product_precision::float32) {
    const recurrence<float> s = whole(r);
    run<float>(adjoint, s, {whole(x), s.write.v, s.read.v}, h, whole(y));
    return whole.give_back();
  }
  rounded_streams rounded;
  recurrence<float> s = r;
  for (in* v : {&s.decay.u, &s.write.u, &s.read.u}) *v = whole(*v);
  if (s.decay.v.of(axis::state) == 1) s.decay.v = whole(s.decay.v);
  if (s.bonus) s.bonus = whole(*s.bonus);
  run<bf16::number>(adjoint, s, {rounded(x), rounded(r.write.v), rounded(r.read.v)}, h, y);
}

}  // namespace alphaform::cuda

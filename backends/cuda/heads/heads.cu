// Heads in ranges of chunks: rows and scores, then states, then results.
#include <alphaform/backends/cuda/heads/heads.hpp>
#include <alphaform/backends/cuda/heads/places.cuh>

namespace alphaform::cuda {
namespace {

template <class Number>
void run(bool adjoint, const recurrence<float>& r, const head_inputs<Number>& inputs, out h, out y) {
  chunked_heads<Number> s = placed(adjoint, r, inputs, h, y);
  const bool by_token = r.decay.v.of(axis::state) == 1 && !r.bonus && takes_streams(s);
  const std::size_t heads = s.heads.entries, state = std::size_t{s.wide_states} * s.wide_channels,
                    square = head_tokens * head_tokens, rows = head_tokens * s.wide_states;
  // Weights of tokens and scores without decays are float32.
  const std::size_t bytes = heads * ((state + square) * sizeof(Number) +
                                     (by_token ? (2 * head_tokens + square) * sizeof(float) : 2 * rows * sizeof(Number)));
  const ranges_of_chunks ranges(y.of(axis::token), bytes);
  const std::size_t most = ranges.at_once() * heads;
  const scratch<Number> reads(by_token ? 1 : most * rows), writes(by_token ? 1 : most * rows), scores(most * square),
      states(most * state);
  const scratch<float> read_weights(by_token ? most * head_tokens : 1), write_weights(by_token ? most * head_tokens : 1),
      products(by_token ? ranges.at_once() * s.streams.entries * square : 1);
  const scratch<double> kept(most * s.wide_states);
  s.reads = by_token ? nullptr : reads.data();
  s.writes = by_token ? nullptr : writes.data();
  s.read_weights = read_weights.data();
  s.write_weights = write_weights.data();
  s.products = products.data();
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

struct to_bfloat16 final {
  __device__ void operator()(bf16::number& to, float x) const { to = bf16::number(x); }
};
/// A copy that is rounded.
class rounded final {
 public:
  explicit rounded(const in& x)
      : numbers_(volume(x.size)), to_{numbers_.data(), x.size, contiguous(x.size)} {
    each(x.size, to_bfloat16{}, to_, x);
  }
  operator view<const bf16::number>() const { return to_; }

 private:
  scratch<bf16::number> numbers_;
  view<bf16::number> to_;
};

}  // namespace

void unrolled_heads(product_precision precision, bool adjoint, const recurrence<float>& r, in x, out h, out y) {
  if (precision == product_precision::float32) return run<float>(adjoint, r, {x, r.write.v, r.read.v}, h, y);
  const rounded inputs(x), write(r.write.v), read(r.read.v);
  run<bf16::number>(adjoint, r, {inputs, write, read}, h, y);
}

}  // namespace alphaform::cuda

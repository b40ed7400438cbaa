// Where the streams of heads lie, and ranges of chunks for which scratch is at hand.
#pragma once
#include <algorithm>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/heads/head.cuh>

namespace alphaform::cuda {

/// One entry for each head.
extents heads_of(const out& h);
/// What is multiplied: x, and the factors v of write and read.
template <class Number>
struct head_inputs final {
  view<const Number> x, write, read;
};
/// Where a factored stream begins, of the adjoint with its last token.
template <class Number>
head_factors<Number> placed(bool adjoint, const in& u, const view<const Number>& v, std::size_t tokens);
/// Everything but scratch; of the adjoint, tokens run backwards, and what is written and what is read change places.
/// The inputs stand for x and factors of the recurrence.
template <class Number>
chunked_heads<Number> placed(bool adjoint, const recurrence<float>&, const head_inputs<Number>&, const out& h,
                             const out& y);
/// Can products take what is read and written as it is, but for a weight of each token?
template <class Number, int Operands>
bool takes_stream(const head_factors<Number>&, std::size_t states, const layout<Operands>& heads, int place);
template <class Number>
bool takes_streams(const chunked_heads<Number>&);

/// A range of chunks.
struct range_of_chunks final {
  std::size_t first, tokens;
  /// The heads there.
  template <class Number>
  chunked_heads<Number> of(chunked_heads<Number>) const;
  template <class Number>
  void advance(head_factors<Number>& f) const {
    const auto way = static_cast<std::int64_t>(first);
    f.u += way * f.u_token;
    if (f.v != nullptr) f.v += way * f.v_token;
  }
};
/// Ranges, so that one takes at most 256 MiB of scratch, or is one chunk.
class ranges_of_chunks final {
 public:
  /// @param bytes  of scratch for one chunk of all heads
  ranges_of_chunks(std::size_t tokens, std::size_t bytes) : tokens_(tokens) {
    constexpr std::size_t most_scratch = std::size_t{1} << 28, most_blocks = 65535;
    at_once_ = std::clamp<std::size_t>(most_scratch / bytes, 1, std::min(chunks_of(tokens), most_blocks));
  }
  /// Chunks of the longest range.
  std::size_t at_once() const { return at_once_; }
  template <class F>
  void each(F f) const {
    const std::size_t step = at_once_ * head_tokens;
    for (std::size_t first = 0; first < tokens_; first += step)
      f(range_of_chunks{first, std::min(tokens_ - first, step)});
  }

 private:
  static std::size_t chunks_of(std::size_t tokens) { return (tokens + head_tokens - 1) / head_tokens; }
  std::size_t tokens_, at_once_;
};

}  // namespace alphaform::cuda

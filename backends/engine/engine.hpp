// Lazy evaluation of one expression on one backend. Nothing runs until it is asked; what is asked runs in windows of
// tokens and channels, so that no tensor over tokens, channels and states, let alone over pairs of tokens, is ever
// stored whole.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <alphaform/backends/engine/carried.hpp>
#include <alphaform/backends/engine/shapes.hpp>

namespace alphaform {

/// A part of the tokens and channels; channels are ignored by streams that have none.
struct window final {
  std::size_t token_begin = 0, token_end = 0;
  std::size_t channel_begin = 0, channel_end = 0;
  std::size_t tokens() const { return token_end - token_begin; }
  std::size_t channels() const { return channel_end - channel_begin; }
};

template <class T>
class engine final {
 public:
  /// @param g     the expression; must outlive the engine, as must the environment
  /// @param env   what its names stand for; input streams [T, C]
  /// @param carry what was left by the tokens before these, and is left for those after; none if these are all tokens
  engine(const workspace& g, const environment<T>& env, const kernels<T>& k, carried<T>* carry = nullptr);

  /// The stream at `i`, whole: [T, axes]. Streams that are more than pointwise are evaluated once and kept.
  tensor<T> value(node_index i);
  /// The stream at `i` within a window.
  tensor<T> value(node_index i, const window&);

  /// P x for a stream x, [T, axes of x], windowed over channels where P keeps channels apart.
  /// @throws user_error when sizes do not fit; internal_error for a term that the engine does not know
  tensor<T> apply(node_index p, const tensor<T>& x);
  /// P' g, the transpose.
  tensor<T> adjoint(node_index p, const tensor<T>& g);
  /// The same within one window: `x` has the window's tokens and channels, and may have columns. Before the window's
  /// first token (after its last one for the transpose) everything is taken as 0.
  tensor<T> apply(node_index p, tensor<T> x, const window&);
  tensor<T> adjoint(node_index p, tensor<T> g, const window&);

  /// P maps every channel on its own: no Mix over channels, no sum over them.
  bool keeps_channels_apart(node_index p) const;

  std::size_t tokens() const { return shapes_.tokens(); }
  window everything(std::size_t channels) const { return {0, tokens(), 0, channels}; }
  const workspace& graph() const { return g_; }
  const environment<T>& env() const { return env_; }
  const kernels<T>& run() const { return k_; }
  shapes<T>& sizes() { return shapes_; }
  arena<T>& memory() { return arena_; }
  const memory_count& count() const { return arena_.count(); }
  /// A state before the first token: what was carried here, or `initial`.
  tensor<T> state(const extents& size, T initial);

 private:
  bool pointwise(node_index stream) const;
  tensor<T> anchor(node_index stream);
  tensor<T> in_channel_windows(node_index p, const tensor<T>& x, bool transposed);
  tensor<T> block(node_index stream, const window&);
  tensor<T> scaled(node_index stream, const tensor<T>& x, const window&);
  tensor<T> scan(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> filtered(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> peaks(const node&);
  tensor<T> after_carried(const tensor<T>& x, std::size_t tokens, T initial);
  tensor<T> row_sums(node_index p, const window&);

  const workspace& g_;
  const environment<T>& env_;
  const kernels<T>& k_;
  shapes<T> shapes_;
  arena<T> arena_;
  carried<T>* carry_;
  std::map<node_index, tensor<T>> kept_;
};

/// The factors of a product, left to right.
std::vector<node_index> factors_of(const workspace& g, node_index p);
/// The terms of a sum.
std::vector<node_index> terms_of(const workspace& g, node_index p);

/// Contract Diag(read) Scan(Diag decay) Diag(write) Expand: the streams of an Unrolled, by their place in the graph.
struct unrolled_form final {
  node_index decay = absent, write = absent, read = absent;
};
/// Recognises an Unrolled at place `at` of a list of factors; it takes five of them.
std::optional<unrolled_form> as_unrolled(const workspace& g, const std::vector<node_index>& factors, std::size_t at);

/// As many channels as one window takes.
inline constexpr std::size_t channel_block = 16;
/// As many tokens as control streams are evaluated for at once.
inline constexpr std::size_t token_block = 64;

}  // namespace alphaform

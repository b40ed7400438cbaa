// Lazy evaluation of one expression on one backend. Nothing runs until it is asked; what is asked runs in windows of
// tokens and channels, so that no tensor over tokens, channels and states, let alone over pairs of tokens, is ever
// stored whole.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <alphaform/backends/engine/carried.hpp>
#include <alphaform/backends/engine/forms.hpp>
#include <alphaform/backends/engine/shapes.hpp>

namespace alphaform {

/// A part of the tokens and channels; channels are ignored by streams that have none, and a window of all channels fits
/// streams of any width.
struct window final {
  static constexpr std::size_t all = static_cast<std::size_t>(-1);
  std::size_t token_begin = 0, token_end = 0;
  std::size_t channel_begin = 0, channel_end = all;
  std::size_t tokens() const { return token_end - token_begin; }
  /// The window's part of a stream.
  template <class Stream>
  Stream of(const Stream& s) const {
    return s.slice(axis::token, token_begin, token_end).slice(axis::chan, channel_begin, end_in(extents_of(s)));
  }
  /// The same of its extents.
  extents of(extents size) const {
    if (at(size, axis::token) != 1) at(size, axis::token) = tokens();
    if (at(size, axis::chan) != 1) at(size, axis::chan) = end_in(size) - channel_begin;
    return size;
  }

 private:
  std::size_t end_in(const extents& size) const { return std::min(channel_end, at(size, axis::chan)); }
  template <class Stream>
  static const extents& extents_of(const Stream& s) {
    if constexpr (requires { s.v; })
      return s.v.size;
    else
      return s.size;
  }
};

template <class T>
class engine final {
 public:
  /// @param g     the expression; must outlive the engine, as must the environment
  /// @param env   what its names stand for; input streams [T, C]
  /// @param carry what was left by the tokens before these, and is left for those after; none if these are all tokens
  engine(const workspace& g, const environment<T>& env, const kernels<T>& k, carried<T>* carry = nullptr);

  /// The stream at `i`, whole: [T, axes]; an axis along which it is the same has one entry. Streams that are more than
  /// pointwise are evaluated once and kept.
  tensor<T> value(node_index i);
  /// The stream at `i` within a window.
  tensor<T> value(node_index i, const window&);

  /// P x for a stream x, [T, axes of x], windowed over channels where P keeps channels apart. A row whose sum is
  /// exactly 0 stays 0 when rows are normalised.
  /// @throws user_error when sizes do not fit; internal_error for a term that the engine does not know
  tensor<T> apply(node_index p, const tensor<T>& x);
  /// P' g, the transpose.
  tensor<T> adjoint(node_index p, const tensor<T>& g);
  /// The same within one window: `x` has the window's tokens and channels, and may have columns. Before the window's
  /// first token (after its last one for the transpose) everything is taken as 0. Subterms that meet the same operand
  /// are evaluated once. @throws internal_error where an operator that needs all tokens gets a part of them
  tensor<T> apply(node_index p, tensor<T> x, const window&);
  tensor<T> adjoint(node_index p, tensor<T> g, const window&);

  /// P maps every channel on its own: no Mix over channels, no sum over them.
  bool keeps_channels_apart(node_index p) const;
  /// No token influences an earlier one, so that what windows of later tokens give is what all tokens would give there.
  bool causal(node_index p) const;

  std::size_t tokens() const { return shapes_.tokens(); }
  window everything() const { return {0, tokens()}; }
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
  tensor<T> in_channel_windows(node_index p, const tensor<T>& x, std::size_t channels, bool transposed);
  tensor<T> block(node_index stream, const window&);
  tensor<T> computed(node_index stream, const window&);
  tensor<T> peaks(const node&);

  struct operand;
  tensor<T> applied(node_index p, operand&);
  tensor<T> transposed(node_index p, tensor<T> g, const window&);
  tensor<T> step(node_index p, tensor<T> x, const window&, bool transposed);
  std::optional<unrolled_form> fast_unrolled(const std::vector<node_index>& factors, std::size_t at,
                                             const tensor<T>& x);
  tensor<T> unrolled(const unrolled_form&, const tensor<T>& x, const window&, bool transposed);
  tensor<T> scaled(node_index stream, const tensor<T>& x, const window&);
  tensor<T> summed(const tensor<T>& x, axes over);
  tensor<T> over_tokens(const tensor<T>& x, const window&);
  tensor<T> complex(const node&, const tensor<T>& x, bool transposed);
  tensor<T> turned(const node&, const tensor<T>& x, bool transposed);
  tensor<T> reordered(const node&, const tensor<T>& x, const window&, bool transposed);
  tensor<T> mixed(const node&, tensor<T> x, const window&, bool transposed);
  tensor<T> matrix_product(const node&, tensor<T> x, bool transposed);
  tensor<T> matrix_product(const matrix_view<T>&, const node&, tensor<T> x, bool transposed);
  tensor<T> filtered(const node&, tensor<T> x, const window&, bool transposed);
  tensor<T> lagged(const node&, tensor<T> x, const window&, bool transposed);
  tensor<T> attended(const node&, bool normalised, tensor<T> x, const window&, bool transposed);
  tensor<T> scan(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> token_by_token(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> retimed(node_index p, tensor<T> x, const window&, bool transposed);
  tensor<T> normalised(const node&, tensor<T> x, const window&, bool transposed);
  tensor<T> row_factors(const node&, const window&);
  tensor<T> with_tokens(tensor<T> x, const window&);
  tensor<T> stored_along(tensor<T> x, const extents& size);
  tensor<T> together(const tensor<T>& a, const tensor<T>& b);
  tensor<T> after_carried(const tensor<T>& x, std::size_t tokens, T initial);
  void needs_all_tokens(const node&, const window&) const;

  const workspace& g_;
  const environment<T>& env_;
  const kernels<T>& k_;
  shapes<T> shapes_;
  arena<T> arena_;
  carried<T>* carry_;
  std::map<node_index, tensor<T>> kept_;
  std::vector<bool> shared_;                // nodes that several others have as an argument
  std::map<node_index, tensor<T>> around_;  // shared streams of the window that is being evaluated
  bool within_ = false;                     // a window is being evaluated
};

/// The largest extents of two operands, each of which may be repeated along an axis.
constexpr extents together(extents a, const extents& b) {
  for (std::size_t k = 0; k < axis_count; ++k) a[k] = std::max(a[k], b[k]);
  return a;
}

/// As many channels as one window takes.
inline constexpr std::size_t channel_block = 16;
/// As many tokens as control streams are evaluated for at once.
inline constexpr std::size_t token_block = 64;

}  // namespace alphaform

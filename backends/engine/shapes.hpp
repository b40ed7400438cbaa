// Sizes of every stream of an expression, found before anything runs. A disagreement is a sentence that names both
// sides.
#pragma once
#include <alphaform/algebra/properties.hpp>
#include <alphaform/backends/engine/environment.hpp>
#include <optional>

namespace alphaform {

/// The parameter as a view over the axes of its node, [H, C, N, R] in this order; entries of size 1 that have no axis
/// are dropped.
/// @throws user_error when the parameter is missing or its shape does not fit
template <class T>
view<const T> stream_parameter(const environment<T>&, const node&);
/// The same for a matrix [out, in] (rows on the token axis, columns on the head axis) and for filter taps [C, K] (K on
/// rank).
template <class T>
view<const T> matrix_parameter(const environment<T>&, const node&);
template <class T>
view<const T> taps_parameter(const environment<T>&, const node&);

/// Memoised sizes of the streams of one graph.
template <class T>
class shapes final {
 public:
  shapes(const workspace& g, const environment<T>& env);
  std::size_t tokens() const { return tokens_; }
  /// Entries of a stream along some of its axes. @throws user_error if it is only repeated along one of them
  std::size_t entries(node_index stream, axes along);
  /// [T, H, C, N, R, 1]; 1 for an axis along which the stream is the same.
  extents of(node_index stream);
  /// What operator `p` makes of a stream with the extents `in`. @throws user_error naming the two sides that do not fit
  extents after(node_index p, const extents& in);

 private:
  // Here an axis along which nothing is stored has size 0: it takes any size, whereas a stored axis of size 1 does not.
  const extents& stored(node_index stream);
  extents find(node_index stream);
  extents applied(node_index p, extents in, bool strict);
  extents mixed(const node&, extents in);

  const workspace& g_;
  const environment<T>& env_;
  std::size_t tokens_ = 1;
  std::vector<std::optional<extents>> known_;
};

/// The slot of a single axis.
axis slot(axes);

}  // namespace alphaform

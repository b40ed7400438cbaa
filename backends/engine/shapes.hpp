// Sizes of every stream of an expression, found before anything runs. A disagreement is a sentence that names both
// sides.
#pragma once
#include <alphaform/algebra/properties.hpp>
#include <alphaform/backends/engine/environment.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace alphaform {

/// The parameter as a view over the axes of its node, [G, H, C, N, R, K, Z] in this order, those of the columns last
/// for a matrix; entries of size 1 that have no axis are dropped. An optional one that is absent has no data.
/// @throws user_error when the parameter is missing or its shape does not fit
template <class T>
view<const T> stream_parameter(const environment<T>&, const node&);
/// What an optional parameter is that is absent: a filter of one tap, the identity, else 0.
template <class T>
T absent_parameter(const node& n) {
  return n.to.contains(tap) ? T(1) : T(0);
}
/// Is the weight of a Conv a stored filter, [C, K] or with other axes than channels? Otherwise it is a stream like any
/// other.
inline bool is_filter(const node& weight) { return weight.is<terms::parameter>() && weight.to.contains(tap); }
/// The order of a Permute, [T] on the token axis. @throws user_error when it does not hold each of the tokens once
template <class T>
view<const T> order_parameter(const environment<T>&, const node&, std::size_t tokens);

/// How many tokens the window of an Attend has; where it has none, all.
template <class T>
std::size_t window_parameter(const environment<T>&, const node&);

/// The weight of a Mix: rows on the token axis, columns on the head axis, and how each of them divides into axes. There
/// is one such matrix for every entry of `each`, one after the other.
template <class T>
struct matrix_view final {
  view<const T> w;
  extents rows = single, columns = single, each = single;
};
/// Does the Mix `n` apply a stored matrix [to, from], or one for every entry of other axes, [each, to, from]? Otherwise
/// its weight is a stream like any other.
bool is_matrix(const workspace& g, const node& n);
/// @param n  a Mix for which is_matrix holds
template <class T>
matrix_view<T> matrix_parameter(const workspace& g, const environment<T>&, const node& n);

/// The extents of a stream that is perhaps only repeated along groups and heads, with these axes as long as they are,
/// as far as that is known.
extents whole_extents(extents, axes has, const extents& lengths);
/// Stores a stream with its whole extents.
template <class T>
tensor<T> stored_whole(const tensor<T>& x, axes has, const extents& lengths, const kernels<T>& k);

/// Memoised sizes of the streams of one graph.
template <class T>
class shapes final {
 public:
  shapes(const workspace& g, const environment<T>& env);
  std::size_t tokens() const { return tokens_; }
  /// Entries of a stream along some of its axes. @throws user_error if it is only repeated along one of them
  std::size_t entries(node_index stream, axes along);
  /// [T, G, H, C, N, R, K, Z, 1]; 1 for an axis along which the stream is the same.
  extents of(node_index stream);
  /// An optional parameter that is not there.
  bool is_absent(node_index stream) const;
  /// Of some streams, those that the state changes, or the others.
  std::vector<node_index> with_state(std::vector<node_index> streams, bool changed = true);
  std::vector<node_index> without_state(std::vector<node_index> streams) {
    return with_state(std::move(streams), false);
  }
  /// Entries of the axis that a quarter turn acts on; `stored` of them are (0: none). @throws user_error for an odd
  /// number
  std::size_t turned(const node&, std::size_t stored);
  /// Entries along one axis, as the inputs and parameters have it. @throws user_error if they do not agree or have none
  std::size_t length(axis);

 private:
  // Here an axis along which nothing is stored has size 0: it takes any size, whereas a stored axis of size 1 does not.
  const extents& stored(node_index stream);
  extents find(node_index stream);
  extents applied(node_index p, extents in, bool transposed);
  extents mixed(const node&, extents in, bool transposed);
  extents summed(extents in, axes over);

  const workspace& g_;
  const environment<T>& env_;
  std::size_t tokens_ = 1;
  std::vector<std::optional<extents>> known_;
  bool lenient_ = false;  // sums of what is only repeated need no length
};

/// The slot of a single axis.
axis slot(axes);

}  // namespace alphaform

// Where the dense witness evaluates a term: the graph, the sizes, the seed, and for dual numbers the stream that
// changes and how. Streams are in scene_streams.hpp, operators in scene_operators.hpp, derivatives in witness.cpp.
#pragma once
#include <alphaform/backends/reference/dense_space.hpp>
#include <alphaform/backends/reference/dual.hpp>
#include <optional>

namespace alphaform::reference {

template <class S>
inline constexpr auto function_values = tabulate(functions_tuple, [](auto f) {
  using entry = decltype(f);
  return +[](const S& x) -> S { return entry::template value<S>(x); };
});

template <class S>
struct array final {
  vector<S> x;
  axes has;
};
/// One stream a column.
template <class S>
struct streams final {
  matrix<S> m;
  axes has;
};

/// What changes, and in which direction. A parameter changes alike for all tokens: its direction is token 0's block.
struct change final {
  node_index of = absent;
  vector<double> direction{};
};

template <class S>
class scene final {
 public:
  scene(const term_view& term, const dense_space& sizes, unsigned random, change what = {})
      : v(term), space(sizes), seed(random), changed(std::move(what)), known_(term.nodes.size()) {}

  const term_view v;
  const dense_space space;
  const unsigned seed;
  const change changed;

  const array<S>& stream(node_index i) const;
  /// What the operator makes of streams with the axes `in`, one stream a column.
  streams<S> apply(node_index i, const matrix<S>& x, axes in) const;
  streams<S> apply(node_index i, const streams<S>& x) const { return apply(i, x.m, x.has); }
  /// Row and column of a square weight: a pointwise expression of parameters.
  S square_weight(node_index i, Index row, Index column) const;

  /// F, J and G of s with respect to v, applied to directions of v.
  streams<S> along_value_path(node_index s, node_index of, const matrix<S>& x) const;
  streams<S> derivative(node_index s, node_index of, const matrix<S>& x) const;

 private:
  array<S> moved(node_index i) const;

  mutable std::vector<std::optional<array<S>>> known_;
};

}  // namespace alphaform::reference

// Where the dense witness evaluates a term: the graph, the sizes and the seed. Streams are in scene_streams.hpp,
// operators in scene_operators.hpp, the value path in witness.cpp.
#pragma once
#include <alphaform/backends/reference/dense_space.hpp>

namespace alphaform::reference {

using Eigen::MatrixXd;
using Eigen::VectorXd;

inline constexpr auto function_values = tabulate(functions_tuple, [](auto f) {
  using entry = decltype(f);
  return +[](double x) -> double { return entry::template value<double>(x); };
});

inline bool is_value_input(const node& n) { return n.is<terms::input>() && n.id == value_input; }

struct array final {
  VectorXd x;
  axes has;
};
struct linear_map final {
  MatrixXd m;
  axes to;
};

/// Where a term is evaluated: the graph, the sizes and the seed.
struct scene final {
  term_view v;
  dense_space space;
  unsigned seed;

  array stream(node_index i) const;
  linear_map operation(node_index i, axes in) const;
  linear_map along_value_path(node_index i) const;
  double weight(node_index i, Index row, Index column) const;

  double parameter(std::string_view id, Index i, Index j) const {
    return id.find("eps") != id.npos ? 1e-5 : uniform(id, i, j, seed);
  }
};

}  // namespace alphaform::reference

#include <alphaform/algebra/visit.hpp>
#include <alphaform/backends/reference/scene_operators.hpp>
#include <alphaform/backends/reference/scene_streams.hpp>

namespace alphaform {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using reference::is_value_input;
using reference::scene;

namespace reference {

array scene::stream(node_index i) const {
  stream_value visitor{*this, v[i]};
  return visit<array>(v[i].term, visitor);
}

linear_map scene::operation(node_index i, axes in) const {
  dense_matrix visitor{*this, v[i], in};
  return visit<linear_map>(v[i].term, visitor);
}

/// An entry of a pointwise expression of parameters, by row and column of the weight that it is used as.
double scene::weight(node_index i, Index row, Index column) const {
  const node& n = v[i];
  if (n.is<terms::parameter>()) return parameter(n.id, row, column);
  if (n.is<terms::one>()) return 1;
  if (n.is<terms::function>()) return function_values[n.function](weight(n.a, row, column));
  if (n.is<terms::times>()) return weight(n.a, row, column) * weight(n.b, row, column);
  if (n.is<terms::plus>()) return weight(n.a, row, column) + weight(n.b, row, column);
  throw internal_error("a weight must be a pointwise expression of parameters");
}

/// F by its definition: the matrix of the affine map x -> s(x) in which every control keeps its value at the base
/// point.
linear_map scene::along_value_path(node_index i) const {
  const node& n = v[i];
  const axes in = value_axes(v);
  if (is_value_input(n)) return {MatrixXd::Identity(space.size(in), space.size(in)), in};
  if (!occurs(v.at(i), is_value_input)) {
    const axes has = stream(i).has;
    return {MatrixXd::Zero(space.size(has), space.size(in)), has};
  }
  if (n.is<terms::applied>()) {
    const linear_map inner = along_value_path(n.b), p = operation(n.a, inner.to);
    return {p.m * inner.m, p.to};
  }
  if (n.is<terms::plus>()) {
    const linear_map a = along_value_path(n.a), b = along_value_path(n.b);
    return {a.m + b.m, a.to};
  }
  if (n.function == function_code<functions::silu>) {
    const linear_map inner = along_value_path(n.a);
    const VectorXd ratio =
        stream(n.a).x.unaryExpr([&n](double x) {  // at 0 its limit, as a value that is nearly 0 gives it
          const double near = x == 0 ? 1e-300 : x;
          return function_values[n.function](near) / near;
        });
    return {ratio.asDiagonal() * inner.m, inner.to};
  }
  throw user_error("the value path meets a term that is neither linear nor a known activation");
}

}  // namespace reference

axes value_axes(const term_view& v) {
  for (const node_index i : parts_of(v))
    if (is_value_input(v[i])) return v[i].to;
  return chan;
}

VectorXd witness::value(const term_view& v) const { return scene{v, {sizes_}, seed_}.stream(v.root).x; }

VectorXd witness::value(const term_view& v, axes has) const {
  const scene s{v, {sizes_}, seed_};
  const reference::array y = s.stream(v.root);
  return s.space.repeated(y.x, y.has, has | y.has);
}

MatrixXd witness::matrix(const term_view& v) const {
  return matrix(v, v.top().from == any_axes ? value_axes(v) : v.top().from);
}

MatrixXd witness::matrix(const term_view& v, axes in) const {
  return scene{v, {sizes_}, seed_}.operation(v.root, in).m;
}

double relative_difference(const MatrixXd& a, const MatrixXd& b) {
  const double scale = b.cwiseAbs().maxCoeff();
  return (a - b).cwiseAbs().maxCoeff() / (scale > 0 ? scale : 1);
}

}  // namespace alphaform

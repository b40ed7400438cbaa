#include <alphaform/algebra/visit.hpp>
#include <alphaform/backends/reference/scene_operators.hpp>
#include <alphaform/backends/reference/scene_streams.hpp>

namespace alphaform {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using reference::dual;
using reference::scene;

namespace reference {

template <class S>
const array<S>& scene<S>::stream(node_index i) const {
  if (!known_[i]) {
    if (i == changed.of) {
      known_[i] = moved(i);
    } else {
      stream_value<S> visitor{*this, v[i]};
      known_[i] = visit<array<S>>(v[i].term, visitor);
    }
  }
  return *known_[i];
}

template <class S>
streams<S> scene<S>::apply(node_index i, const matrix<S>& x, axes in) const {
  operator_value<S> visitor{*this, v[i], x, in};
  return visit<streams<S>>(v[i].term, visitor);
}

template <class S>
S scene<S>::square_weight(node_index i, Index row, Index column) const {
  const node& n = v[i];
  if (i == changed.of) throw user_error("no derivative with respect to a square weight: it is no stream");
  if (n.is<terms::parameter>()) return square_entry(n.id, row, column, seed);
  if (n.is<terms::function>()) return function_values<S>[n.function](square_weight(n.a, row, column));
  if (n.is<terms::times>()) return square_weight(n.a, row, column) * square_weight(n.b, row, column);
  if (n.is<terms::plus>()) return square_weight(n.a, row, column) + square_weight(n.b, row, column);
  if (n.to == no_axes) return stream(i).x[0];
  throw internal_error("a square weight must be a pointwise expression of parameters");
}

/// The stream that changes: its value and the direction.
template <class S>
array<S> scene<S>::moved(node_index i) const {
  const array<double> at = scene<double>(v, space, seed).stream(i);
  array<S> y{at.x.template cast<S>(), at.has};
  if constexpr (std::is_same_v<S, dual>) {
    const Index width = space.width(at.has);
    for (Index k = 0; k < y.x.size(); ++k) y.x[k].d = changed.direction[v[i].is<terms::parameter>() ? k % width : k];
  }
  return y;
}

/// F by its definition: the affine map v -> s(v) in which every control keeps its value at the base point.
template <class S>
streams<S> scene<S>::along_value_path(node_index s, node_index of, const matrix<S>& x) const {
  const node& n = v[s];
  if (s == of) return {x, n.to};
  if (independent(v, s, of)) return {matrix<S>::Zero(space.size(n.to), x.cols()), n.to};
  if (n.is<terms::applied>()) return apply(n.a, along_value_path(n.b, of, x));
  if (n.is<terms::plus>()) {
    const streams<S> a = along_value_path(n.a, of, x), b = along_value_path(n.b, of, x);
    const axes has = a.has | b.has;
    return {space.repeated(a.m, a.has, has) + space.repeated(b.m, b.has, has), has};
  }
  if (n.function == function_code<functions::neg>) {
    const streams<S> a = along_value_path(n.a, of, x);
    return {-a.m, a.has};
  }
  const bool squared =
      n.function == function_code<functions::square> && v[n.a].function == function_code<functions::relu>;
  if (squared || n.function == function_code<functions::silu> || n.function == function_code<functions::relu>) {
    const node_index argument = squared ? v[n.a].a : n.a;
    const streams<S> inner = along_value_path(argument, of, x);
    const vector<S>&before = stream(argument).x, &now = stream(s).x;
    vector<S> gate(before.size());  // activation(a) / a, at 0 the limit from below
    for (Index k = 0; k < gate.size(); ++k)
      gate[k] = before[k] == S(0) ? function_values<S>[n.function](-1e-300) / S(-1e-300) * S(squared ? 0 : 1)
                                  : now[k] / before[k];
    return {gate.asDiagonal() * inner.m, inner.has};
  }
  throw user_error("the value path meets a term that is neither linear nor a known activation");
}

/// J by dual numbers: one evaluation of s per direction.
template <class S>
streams<S> scene<S>::derivative(node_index s, node_index of, const matrix<S>& x) const {
  if constexpr (std::is_same_v<S, double>) {
    streams<S> y{matrix<S>(space.size(v[s].to), x.cols()), v[s].to};
    for (Index j = 0; j < x.cols(); ++j) {
      const array<dual> moved = scene<dual>(v, space, seed, {of, x.col(j)}).stream(s);
      if (moved.has != y.has) throw internal_error("a stream has other axes than its term says");
      y.m.col(j) = moved.x.unaryExpr([](const dual& e) { return e.d; });
    }
    return y;
  }
  throw internal_error("the derivative of a derivative");
}

template class scene<double>;
template class scene<dual>;

}  // namespace reference

axes value_axes(const term_view& v) {
  for (const node_index i : parts_of(v))
    if (v[i].is<terms::input>() && v[i].id == value_input) return v[i].to;
  return chan;
}

VectorXd witness::value(const term_view& v) const { return scene<double>(v, {sizes_}, seed_).stream(v.root).x; }

VectorXd witness::value(const term_view& v, axes has) const {
  const scene<double> s(v, {sizes_}, seed_);
  const reference::array<double>& y = s.stream(v.root);
  return s.space.repeated(y.x, y.has, has | y.has);
}

MatrixXd witness::matrix(const term_view& v) const {
  return matrix(v, v.top().from == any_axes ? value_axes(v) : v.top().from);
}

MatrixXd witness::matrix(const term_view& v, axes in) const {
  const reference::dense_space space{sizes_};
  return applied(v, MatrixXd::Identity(space.size(in), space.size(in)), in);
}

MatrixXd witness::applied(const term_view& v, const MatrixXd& x, axes in) const {
  return scene<double>(v, {sizes_}, seed_).apply(v.root, x, in).m;
}

VectorXd witness::derivative(const term_view& v, std::string_view input, const VectorXd& direction) const {
  const scene<double> s(v, {sizes_}, seed_);
  for (const node_index i : parts_of(v))
    if ((v[i].is<terms::input>() || v[i].is<terms::parameter>()) && v[i].id == input)
      return s.derivative(v.root, i, direction).m;
  return VectorXd::Zero(s.space.size(v.top().to));
}

double relative_difference(const MatrixXd& a, const MatrixXd& b) {
  const double scale = b.cwiseAbs().maxCoeff();
  return (a - b).cwiseAbs().maxCoeff() / (scale > 0 ? scale : 1);
}

}  // namespace alphaform

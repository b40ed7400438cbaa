#include <alphaform/algebra/visit.hpp>
#include <alphaform/backends/reference/dense_space.hpp>
#include <cmath>

namespace alphaform {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using reference::dense_space;
using reference::Index;
using reference::uniform;

constexpr auto function_values = tabulate(functions_tuple, [](auto f) {
  using entry = decltype(f);
  return +[](double x) -> double { return entry::template value<double>(x); };
});

bool is_value_input(const node& n) { return n.is<terms::input>() && n.id == value_input; }

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

  array stream(index i) const;
  linear_map operation(index i, axes in) const;
  linear_map along_value_path(index i) const;
  double weight(index i, Index row, Index column) const;

  double parameter(std::string_view id, Index i, Index j) const {
    return id.find("eps") != id.npos ? 1e-5 : uniform(id, i, j, seed);
  }
};

struct stream_value final {
  const scene& s;
  const node& n;

  template <class Entry>
  array filled(axes has, Entry entry) const {
    array y{VectorXd(s.space.size(has)), has};
    const Index width = s.space.width(has);
    for (Index t = 0; t < s.space.sizes.tokens; ++t)
      for (Index k = 0; k < width; ++k) y.x[t * width + k] = entry(t, k);
    return y;
  }
  array constant(double c) const {
    return filled(n.to, [c](Index, Index) { return c; });
  }
  template <class F>
  array pairwise(F f) const {
    const array a = s.stream(n.a), b = s.stream(n.b);
    const axes has = a.has | b.has;
    return {s.space.repeated(a.x, a.has, has).binaryExpr(s.space.repeated(b.x, b.has, has), f), has};
  }
  /// p_t = max(p_{t-1} + a_t, b_t), before or after token t.
  array peaks(bool before) const {
    const array a = s.stream(n.a), b = s.stream(n.b);
    const axes has = a.has | b.has;
    const VectorXd step = s.space.repeated(a.x, a.has, has), key = s.space.repeated(b.x, b.has, has);
    const Index width = s.space.width(has);
    array y{VectorXd(step.size()), has};
    for (Index k = 0; k < width; ++k) {
      double peak = -1e38;
      for (Index at = k; at < step.size(); at += width) {
        const double prior = peak;
        peak = std::max(prior + step[at], key[at]);
        y.x[at] = before ? prior : peak;
      }
    }
    return y;
  }

  array operator()(terms::input) const {
    return filled(n.to, [this](Index t, Index k) { return uniform(n.id, t, k, s.seed); });
  }
  array operator()(terms::parameter) const {
    return filled(n.to, [this](Index, Index k) { return s.parameter(n.id, -1, k); });
  }
  array operator()(terms::one) const { return constant(1); }
  array operator()(terms::nothing) const { return constant(0); }
  array operator()(terms::inverse_size) const { return constant(1.0 / static_cast<double>(s.space.width(n.from))); }
  array operator()(terms::function) const {
    const array a = s.stream(n.a);
    return {a.x.unaryExpr(function_values[n.function]), a.has};
  }
  array operator()(terms::times) const {
    return pairwise([](double a, double b) { return a * b; });
  }
  array operator()(terms::plus) const {
    return pairwise([](double a, double b) { return a + b; });
  }
  array operator()(terms::larger) const {
    return pairwise([](double a, double b) { return std::max(a, b); });
  }
  array operator()(terms::applied) const {
    array a = s.stream(n.b);
    if (s.v[n.b].is<terms::nothing>()) {  // 0 has whatever axes its place wants
      const axes wanted = s.v[n.a].from | a.has;
      a = {s.space.repeated(a.x, a.has, wanted), wanted};
    }
    const linear_map p = s.operation(n.a, a.has);
    return {p.m * a.x, p.to};
  }
  array operator()(terms::peak) const { return peaks(false); }
  array operator()(terms::prior_peak) const { return peaks(true); }
  /// R(s) = s - F(s) x
  array operator()(terms::remainder) const {
    array y = s.stream(n.a);
    for (const index i : parts_of(s.v.at(n.a)))
      if (is_value_input(s.v[i])) y.x -= s.along_value_path(n.a).m * s.stream(i).x;
    return y;
  }
  array operator()(terms::any_stream) const { throw internal_error("a symbol of a pattern has no value"); }
  array operator()(terms::ones_for) const { throw internal_error("a symbol of a pattern has no value"); }
  template <class Term>
  requires(Term::is == sort::operation) array operator()(Term) const {
    throw internal_error("an operator has no value: ask the witness for its matrix");
  }
};

struct dense_matrix final {
  const scene& s;
  const node& n;
  axes in;

  Index tokens() const { return s.space.sizes.tokens; }
  MatrixXd none(axes to) const { return MatrixXd::Zero(s.space.size(to), s.space.size(in)); }

  /// A map that acts on every token alike: entry(row, column) within a token.
  template <class Entry>
  linear_map in_each_token(axes to, Entry entry) const {
    MatrixXd m = none(to);
    const Index rows = s.space.width(to), columns = s.space.width(in);
    for (Index t = 0; t < tokens(); ++t)
      for (Index j = 0; j < rows; ++j)
        for (Index k = 0; k < columns; ++k) m(t * rows + j, t * columns + k) = entry(j, k);
    return {m, to};
  }
  /// The columns' entry at lag l of every channel: y_t = sum_l entry(l, k) x_{t-l}.
  template <class Entry>
  linear_map over_lags(Index first, Index last, Entry entry) const {
    MatrixXd m = none(in);
    const Index width = s.space.width(in);
    for (Index t = 0; t < tokens(); ++t)
      for (Index l = first; l <= std::min(last, t); ++l)
        for (Index k = 0; k < width; ++k) m(t * width + k, (t - l) * width + k) = entry(l, k);
    return {m, in};
  }

  linear_map operator()(terms::identity) const { return {MatrixXd::Identity(s.space.size(in), s.space.size(in)), in}; }
  linear_map operator()(terms::zero) const { return {none(in), in}; }
  linear_map operator()(terms::diag) const {
    const array d = s.stream(n.a);
    if (!in.contains(d.has)) throw internal_error("Diag has an axis that the stream it acts on lacks");
    return {s.space.repeated(d.x, d.has, in).asDiagonal(), in};
  }
  linear_map operator()(terms::conv) const {
    const axes has = s.v[n.a].to;
    const Index last = s.space.sizes.taps - 1;
    return over_lags(0, last, [&](Index l, Index k) { return s.weight(n.a, s.space.place(k, in, has), last - l); });
  }
  linear_map operator()(terms::delay) const {
    return over_lags(1, 1, [](Index, Index) { return 1.0; });
  }
  /// Block (t, s) is P_t P_{t-1} ... P_{s+1}.
  linear_map operator()(terms::scan) const {
    const MatrixXd p = s.operation(n.a, in).m;
    const Index w = s.space.width(in);
    MatrixXd m = none(in), elsewhere = p;
    for (Index t = 0; t < tokens(); ++t) elsewhere.block(t * w, t * w, w, w).setZero();
    if (!elsewhere.isZero(0)) throw internal_error("Scan needs an operator that acts within a token");
    for (Index from = 0; from < tokens(); ++from) {
      MatrixXd product = MatrixXd::Identity(w, w);
      for (Index t = from; t < tokens(); ++t) {
        if (t > from) product = p.block(t * w, t * w, w, w) * product;
        m.block(t * w, from * w, w, w) = product;
      }
    }
    return {m, in};
  }
  linear_map operator()(terms::mix) const {
    const axes to = after({n.from, n.to}, in), kept = in - n.from;
    return in_each_token(to, [&](Index j, Index k) {
      if (s.space.place(j, to, kept) != s.space.place(k, in, kept)) return 0.0;
      return s.weight(n.a, s.space.place(j, to, n.to), s.space.place(k, in, n.from));
    });
  }
  linear_map operator()(terms::expand) const {
    const axes to = in | n.to;
    return in_each_token(to, [&](Index j, Index k) { return s.space.place(j, to, in) == k ? 1.0 : 0.0; });
  }
  linear_map operator()(terms::contract) const {
    const axes to = in - n.from;
    return in_each_token(to, [&](Index j, Index k) { return s.space.place(k, in, to) == j ? 1.0 : 0.0; });
  }
  linear_map operator()(terms::rownorm) const {
    const linear_map p = s.operation(n.a, in);
    const VectorXd rows = p.m.rowwise().sum();
    return {rows.cwiseInverse().asDiagonal() * p.m, p.to};
  }
  linear_map operator()(terms::sum) const {
    if (s.v[n.a].is<terms::zero>()) return s.operation(n.b, in);  // 0 has whatever shape its place wants
    if (s.v[n.b].is<terms::zero>()) return s.operation(n.a, in);
    const linear_map p = s.operation(n.a, in), q = s.operation(n.b, in);
    if (p.to != q.to) throw internal_error("a sum of operators that make different axes");
    return {p.m + q.m, p.to};
  }
  linear_map operator()(terms::product) const {
    const linear_map q = s.operation(n.b, in), p = s.operation(n.a, q.to);
    return {p.m * q.m, p.to};
  }
  linear_map operator()(terms::frozen) const { return s.along_value_path(n.a); }
  linear_map operator()(terms::any_operator) const { throw internal_error("a symbol of a pattern has no matrix"); }
  template <class Term>
  requires(Term::is == sort::stream) linear_map operator()(Term) const {
    throw internal_error("a stream has no matrix: ask the witness for its value");
  }
};

array scene::stream(index i) const {
  stream_value visitor{*this, v[i]};
  return visit<array>(v[i].term, visitor);
}

linear_map scene::operation(index i, axes in) const {
  dense_matrix visitor{*this, v[i], in};
  return visit<linear_map>(v[i].term, visitor);
}

/// F by its definition: the matrix of the affine map x -> s(x) in which every control keeps its value at the base
/// point.
linear_map scene::along_value_path(index i) const {
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

/// An entry of a pointwise expression of parameters, by row and column of the weight that it is used as.
double scene::weight(index i, Index row, Index column) const {
  const node& n = v[i];
  if (n.is<terms::parameter>()) return parameter(n.id, row, column);
  if (n.is<terms::one>()) return 1;
  if (n.is<terms::function>()) return function_values[n.function](weight(n.a, row, column));
  if (n.is<terms::times>()) return weight(n.a, row, column) * weight(n.b, row, column);
  if (n.is<terms::plus>()) return weight(n.a, row, column) + weight(n.b, row, column);
  throw internal_error("a weight must be a pointwise expression of parameters");
}

}  // namespace

axes value_axes(const term_view& v) {
  for (const index i : parts_of(v))
    if (is_value_input(v[i])) return v[i].to;
  return chan;
}

VectorXd witness::value(const term_view& v) const { return scene{v, {sizes_}, seed_}.stream(v.root).x; }

VectorXd witness::value(const term_view& v, axes has) const {
  const scene s{v, {sizes_}, seed_};
  const array y = s.stream(v.root);
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

// What every operator is by definition, as a dense matrix, for the dense witness.
#pragma once
#include <algorithm>
#include <alphaform/backends/reference/scene.hpp>

namespace alphaform::reference {

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

}  // namespace alphaform::reference

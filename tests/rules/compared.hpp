// Two terms compared by what they mean: as dense matrices or values in double.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <alphaform/backends/reference/dense_space.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <limits>

namespace alphaform {

/// Every axis has its own size, but for states and ranks.
inline constexpr witness_sizes few{.tokens = 4, .heads = 2, .channels = 3, .states = 2, .ranks = 2, .taps = 3};

/// Is the term smooth where the witness evaluates it? |x|, ReLU and max have no derivative where they bend.
inline bool smooth(const term_view& v, const witness& w) {
  constexpr double close = 1e-6;
  for (const node_index i : parts_of(v)) {
    const node& n = v[i];
    if (n.function == function_code<functions::relu> || n.function == function_code<functions::abs>)
      if (w.value(v.at(n.a)).cwiseAbs().minCoeff() < close) return false;
    if (n.is<terms::larger>()) {
      const axes has = v[n.a].to | v[n.b].to;
      if ((w.value(v.at(n.a), has) - w.value(v.at(n.b), has)).cwiseAbs().minCoeff() < close) return false;
    }
    if (n.is<terms::bounded_rownorm>()) {  // max(|row sum|, 1)
      const axes in = v[n.a].from;
      const Eigen::MatrixXd rows =
          w.applied(v.at(n.a), Eigen::MatrixXd::Ones(reference::dense_space{w.sizes()}.size(in), 1), in);
      if ((rows.cwiseAbs().array() - 1).abs().minCoeff() < close) return false;
    }
  }
  return true;
}

/// max |a - b|, and what it is to be compared with.
struct comparison final {
  double miss = 0, scale = 0;
  double relative() const { return miss / (scale > 0 ? scale : 1); }
  /// Not overflown, and not what rounding leaves of a 0.
  bool usable() const { return std::isfinite(scale) && scale < 1e6 && (scale == 0 || scale > 1e-6); }
};
inline comparison compared(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) {
  if (!a.allFinite()) return {0, std::numeric_limits<double>::infinity()};
  if (a.rows() != b.rows()) throw internal_error("the two sides have different axes");
  const double miss = (a - b).cwiseAbs().maxCoeff();
  return {std::isfinite(miss) ? miss : std::numeric_limits<double>::infinity(), a.cwiseAbs().maxCoeff()};
}

/// Two operators, by what they make of every stream of a basis, or of `columns` random streams.
inline comparison compared_operators(const term_view& a, const term_view& b, axes in, const witness& w,
                                     int columns = 0) {
  const reference::dense_space space{w.sizes()};
  if (columns == 0) return compared(w.matrix(a, in), w.matrix(b, in));
  Eigen::MatrixXd x(space.size(in), columns);
  for (Eigen::Index i = 0; i < x.rows(); ++i)
    for (Eigen::Index j = 0; j < x.cols(); ++j) x(i, j) = reference::uniform("direction", i, j, w.seed());
  return compared(w.applied(a, x, in), w.applied(b, x, in));
}
inline comparison compared_streams(const term_view& a, const term_view& b, const witness& w) {
  const axes has = a.top().to | b.top().to;
  return compared(w.value(a, has), w.value(b, has));
}

}  // namespace alphaform

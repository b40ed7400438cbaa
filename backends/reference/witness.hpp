// The dense witness: what a term is by definition, in double, on tiny sizes and random numbers. It knows no rule, scan
// or plan, so that rules, derivations and every backend can be compared with it. A stream is an array [T, G, H, C, N,
// R, K, Z] in which absent axes have one entry; an operator is the matrix on the flattened array; a derivative is taken
// with dual numbers. What has no tokens, as the argument of Expand_T and the result of Contract_T, is token 0's block
// of a stream that is 0 elsewhere.
#pragma once
#include <Eigen/Core>
#include <alphaform/algebra/term_view.hpp>

namespace alphaform {

struct witness_sizes final {
  int tokens = 6, heads = 2, channels = 3, states = 2, ranks = 2, taps = 4, groups = 2;
};

/// Values of all inputs and parameters follow from their names and the seed, uniform in [-1, 1] but for parameters that
/// mean something only in another range (an epsilon is 1e-5). A complex number has two parts whatever the sizes.
class witness final {
 public:
  explicit witness(const witness_sizes& sizes, unsigned seed) : sizes_(sizes), seed_(seed) {}

  /// The stream v, flattened. @throws user_error for a term on the value path inside F or R that is neither linear nor
  /// a known activation; internal_error for an operator
  Eigen::VectorXd value(const term_view& v) const;
  /// The same, repeated along the axes that it lacks.
  Eigen::VectorXd value(const term_view& v, axes has) const;

  /// The operator v on streams with the axes that it consumes; F, J and G consume those of their variable.
  Eigen::MatrixXd matrix(const term_view& v) const;
  /// The same on streams with the axes `in`, of which those that it does not name pass through.
  Eigen::MatrixXd matrix(const term_view& v, axes in) const;

  /// What the operator makes of streams with the axes `in`, one stream a column.
  Eigen::MatrixXd applied(const term_view& v, const Eigen::MatrixXd& x, axes in) const;

  /// How the stream v changes, to first order, when the input or parameter of that name changes in the given direction.
  /// A parameter has one direction for all tokens, in token 0's block.
  Eigen::VectorXd derivative(const term_view& v, std::string_view input, const Eigen::VectorXd& direction) const;

  const witness_sizes& sizes() const { return sizes_; }
  unsigned seed() const { return seed_; }

 private:
  witness_sizes sizes_;
  unsigned seed_;
};

/// The axes of the value input where it occurs in the term, [C] otherwise.
axes value_axes(const term_view& v);

/// max |a - b| / max |b| over all entries; the denominator is 1 where b is 0.
double relative_difference(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b);

}  // namespace alphaform

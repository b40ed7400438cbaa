// Arrays of numbers for layers written as loops: sizes are letters, T tokens, G groups, H heads, C channels, N state
// entries, R entries of a low-rank projection, K taps and Z the two parts of a complex number.
#pragma once
#include <doctest/doctest.h>

#include <alphaform/backends/reference/witness.hpp>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace alphaform::test::layers {

using index = std::ptrdiff_t;

inline index size_of(char letter, const witness_sizes& s) {
  switch (letter) {
    case 'T':
      return s.tokens;
    case 'G':
      return s.groups;
    case 'H':
      return s.heads;
    case 'C':
      return s.channels;
    case 'N':
      return s.states;
    case 'R':
      return s.ranks;
    case 'K':
      return s.taps;
    default:
      return 2;
  }
}

/// Numbers in row-major order, read and written as x(t, h, c), or x[i] for the i-th of all.
class array final {
 public:
  explicit array(std::vector<index> shape, std::vector<double> numbers = {}) : shape_(std::move(shape)) {
    std::size_t n = 1;
    for (const index s : shape_) n *= static_cast<std::size_t>(s);
    if (numbers.empty()) numbers.assign(n, 0.0);
    REQUIRE(numbers.size() == n);
    numbers_ = std::move(numbers);
  }

  template <class... I>
  double& operator()(I... i) {
    return numbers_[place(i...)];
  }
  template <class... I>
  double operator()(I... i) const {
    return numbers_[place(i...)];
  }
  double& operator[](index i) { return numbers_[static_cast<std::size_t>(i)]; }
  double operator[](index i) const { return numbers_[static_cast<std::size_t>(i)]; }

  index size() const { return static_cast<index>(numbers_.size()); }
  index tokens() const { return shape_.front(); }
  /// Numbers a token.
  index width() const { return size() / tokens(); }
  const std::vector<index>& shape() const { return shape_; }

 private:
  template <class... I>
  std::size_t place(I... i) const {
    if (sizeof...(I) != shape_.size()) throw std::logic_error("as many places as axes are needed");
    index at = 0;
    std::size_t k = 0;
    ((at = at * shape_[k++] + i), ...);
    return static_cast<std::size_t>(at);
  }

  std::vector<index> shape_;
  std::vector<double> numbers_;
};

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double silu(double x) { return x * sigmoid(x); }
inline double softplus(double x) { return std::log1p(std::exp(x)); }
/// GELU with tanh.
inline double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

template <class F>
array each(array x, F f) {
  for (index i = 0; i < x.size(); ++i) x[i] = f(x[i]);
  return x;
}
/// The numbers of `b` are used again for every further token, group or head of `a`.
inline array operator+(array a, const array& b) {
  for (index i = 0; i < a.size(); ++i) a[i] += b[i % b.size()];
  return a;
}
inline array operator*(array a, const array& b) {
  for (index i = 0; i < a.size(); ++i) a[i] *= b[i % b.size()];
  return a;
}

/// y_t = W x_t, W row-major with as many columns as x has numbers a token.
inline array matrix(const array& W, const array& x, std::vector<index> shape) {
  array y(std::move(shape));
  REQUIRE(W.size() == y.width() * x.width());
  for (index t = 0; t < x.tokens(); ++t)
    for (index o = 0; o < y.width(); ++o)
      for (index i = 0; i < x.width(); ++i) y[t * y.width() + o] += W[o * x.width() + i] * x[t * x.width() + i];
  return y;
}
/// The token before, 0 before the first.
inline array before(const array& x) {
  array y(x.shape());
  for (index i = x.width(); i < x.size(); ++i) y[i] = x[i - x.width()];
  return y;
}
/// The last token first.
inline array backwards(const array& x) {
  array y(x.shape());
  for (index t = 0; t < x.tokens(); ++t)
    for (index e = 0; e < x.width(); ++e) y[t * x.width() + e] = x[(x.tokens() - 1 - t) * x.width() + e];
  return y;
}
/// y_t = sum_k w[.., K-1-k] x_{t-k}: a cross-correlation whose last tap meets the current token.
inline array filtered(const array& x, const array& w) {
  array y(x.shape());
  const index E = x.width(), K = w.size() / E;
  for (index t = 0; t < x.tokens(); ++t)
    for (index e = 0; e < E; ++e)
      for (index k = 0; k < K && k <= t; ++k) y[t * E + e] += w[e * K + K - 1 - k] * x[(t - k) * E + e];
  return y;
}
/// Every n numbers in a row divided by the root of their mean square plus epsilon.
inline array over_root_mean_square(array x, index n, double epsilon) {
  for (index first = 0; first < x.size(); first += n) {
    double squares = 0;
    for (index i = first; i < first + n; ++i) squares += x[i] * x[i];
    for (index i = first; i < first + n; ++i) x[i] /= std::sqrt(squares / static_cast<double>(n) + epsilon);
  }
  return x;
}
/// The same after their mean is taken away from them.
inline array standardised(array x, index n, double epsilon) {
  for (index first = 0; first < x.size(); first += n) {
    double sum = 0;
    for (index i = first; i < first + n; ++i) sum += x[i];
    for (index i = first; i < first + n; ++i) x[i] -= sum / static_cast<double>(n);
  }
  return over_root_mean_square(std::move(x), n, epsilon);
}
/// Every n numbers in a row divided by the root of the sum of their squares plus epsilon, or by `least` where that is
/// larger.
inline array of_length_1(array x, index n, double epsilon, double least) {
  for (index first = 0; first < x.size(); first += n) {
    double squares = epsilon;
    for (index i = first; i < first + n; ++i) squares += x[i] * x[i];
    for (index i = first; i < first + n; ++i) x[i] /= std::max(std::sqrt(squares), least);
  }
  return x;
}

}  // namespace alphaform::test::layers

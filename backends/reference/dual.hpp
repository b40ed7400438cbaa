// Dual numbers v + d e with e e = 0: evaluated with them, a function gives its value and its derivative in one
// direction (forward mode).
#pragma once
#include <Eigen/Core>
#include <cmath>

namespace alphaform::reference {

struct dual final {
  double v = 0, d = 0;
  constexpr dual() = default;
  constexpr dual(double value, double slope = 0) : v(value), d(slope) {}  // implicit: a number is a constant

  friend constexpr dual operator+(const dual& a, const dual& b) { return {a.v + b.v, a.d + b.d}; }
  friend constexpr dual operator-(const dual& a, const dual& b) { return {a.v - b.v, a.d - b.d}; }
  friend constexpr dual operator-(const dual& a) { return {-a.v, -a.d}; }
  friend constexpr dual operator*(const dual& a, const dual& b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
  friend constexpr dual operator/(const dual& a, const dual& b) { return {a.v / b.v, (a.d - a.v / b.v * b.d) / b.v}; }
  constexpr dual& operator+=(const dual& o) { return *this = *this + o; }
  constexpr dual& operator-=(const dual& o) { return *this = *this - o; }
  constexpr dual& operator*=(const dual& o) { return *this = *this * o; }
  constexpr dual& operator/=(const dual& o) { return *this = *this / o; }

  friend constexpr bool operator<(const dual& a, const dual& b) { return a.v < b.v; }
  friend constexpr bool operator>(const dual& a, const dual& b) { return a.v > b.v; }
  friend constexpr bool operator==(const dual&, const dual&) = default;

  friend dual exp(const dual& a) { return {std::exp(a.v), std::exp(a.v) * a.d}; }
  friend dual log(const dual& a) { return {std::log(a.v), a.d / a.v}; }
  friend dual log1p(const dual& a) { return {std::log1p(a.v), a.d / (1 + a.v)}; }
  friend dual expm1(const dual& a) { return {std::expm1(a.v), std::exp(a.v) * a.d}; }
  friend dual sqrt(const dual& a) { return {std::sqrt(a.v), a.d / (2 * std::sqrt(a.v))}; }
  friend dual sin(const dual& a) { return {std::sin(a.v), std::cos(a.v) * a.d}; }
  friend dual cos(const dual& a) { return {std::cos(a.v), -std::sin(a.v) * a.d}; }
  friend dual tanh(const dual& a) {
    const double y = std::tanh(a.v);
    return {y, (1 - y * y) * a.d};
  }
  /// At 0, where abs has no derivative: 0, the mean of those on both sides.
  friend dual abs(const dual& a) { return {std::abs(a.v), a.v > 0 ? a.d : a.v < 0 ? -a.d : 0}; }
};

}  // namespace alphaform::reference

template <>
struct Eigen::NumTraits<alphaform::reference::dual> : Eigen::NumTraits<double> {
  using Real = alphaform::reference::dual;
  using NonInteger = alphaform::reference::dual;
  using Nested = alphaform::reference::dual;
  using Literal = alphaform::reference::dual;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 1,
    ReadCost = 2,
    AddCost = 2,
    MulCost = 6
  };
};

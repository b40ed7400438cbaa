// What a function of the vocabulary is: a name, a meaning, a layout for each notation, a value that is written once for
// a scalar and for an array of scalars (anything that offers exp, log1p, abs, sqrt and arithmetic), and a slope, its
// derivative, that is written once for numbers and for expressions.
#pragma once
#include <alphaform/algebra/layout.hpp>
#include <cmath>
#include <string_view>

namespace alphaform::functions {

/// max(x, 0) without a branch.
template <class R>
R positive_part(const R& x) {
  using std::abs;
  return (x + abs(x)) / 2;
}

/// -1, 0 or 1.
template <class R>
R unit_sign(const R& x) {
  if constexpr (requires { x.sign(); })
    return x.sign();
  else
    return R((x > R(0)) - (x < R(0)));
}

/// 1 / (1 + exp(-x)); exp may overflow to infinity, which gives the right limit 0.
template <class R>
R logistic(const R& x) {
  using std::exp;
  return 1 / (1 + exp(-x));
}

/// Another function of the vocabulary, of a number or of an expression.
template <class Function, class E>
constexpr E call(const E& x) {
  if constexpr (requires { E::template call<Function>(x); })
    return E::template call<Function>(x);
  else
    return Function::template value<E>(x);
}
/// A constant, as a number or in an expression: its decimals.
template <class E>
constexpr E constant([[maybe_unused]] std::string_view decimals, [[maybe_unused]] double value) {
  if constexpr (requires { E::constant(decimals); })
    return E::constant(decimals);
  else
    return E(value);
}

}  // namespace alphaform::functions

// What a function of the vocabulary is: a name, a meaning, a layout for each notation, and a value that is written once
// for a scalar and for an array of scalars (anything that offers exp, log1p, abs, sqrt and arithmetic).
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

/// 1 / (1 + exp(-x)); exp may overflow to infinity, which gives the right limit 0.
template <class R>
R logistic(const R& x) {
  using std::exp;
  return 1 / (1 + exp(-x));
}

}  // namespace alphaform::functions

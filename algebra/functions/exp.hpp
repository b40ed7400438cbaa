#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct exp final {
  static constexpr std::string_view name = "exp", meaning = "exponential";
  static constexpr layout text{"exp(@)"}, latex{"\\exp(@)"}, mathml{"<mi>exp</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::exp;
    return exp(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<exp>(x);
  }
};

}  // namespace alphaform::functions

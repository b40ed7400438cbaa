#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/exp.hpp>

namespace alphaform::functions {

struct expm1 final {
  static constexpr std::string_view name = "expm1", meaning = "exp(x) - 1, accurate near 0";
  static constexpr layout text{"expm1(@)"}, latex{"\\mathrm{expm1}(@)"}, mathml{"<mi>expm1</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::expm1;
    return expm1(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<exp>(x);
  }
};

}  // namespace alphaform::functions

#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/complement.hpp>

namespace alphaform::functions {

struct sigmoid final {
  static constexpr std::string_view name = "sigmoid", meaning = "logistic function 1 / (1 + exp(-x))";
  static constexpr layout text{"σ(@)"}, latex{"\\sigma(@)"}, mathml{"<mi>σ</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return logistic(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<sigmoid>(x) * call<complement>(call<sigmoid>(x));
  }
};

}  // namespace alphaform::functions

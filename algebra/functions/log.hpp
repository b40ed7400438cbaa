#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/reciprocal.hpp>

namespace alphaform::functions {

struct log final {
  static constexpr std::string_view name = "log", meaning = "natural logarithm";
  static constexpr layout text{"log(@)"}, latex{"\\log(@)"}, mathml{"<mi>log</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::log;
    return log(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<reciprocal>(x);
  }
};

}  // namespace alphaform::functions

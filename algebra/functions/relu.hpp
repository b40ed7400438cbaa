#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/step.hpp>

namespace alphaform::functions {

struct relu final {
  static constexpr std::string_view name = "relu", meaning = "positive part";
  static constexpr layout text{"ReLU(@)"}, latex{"\\mathrm{ReLU}(@)"}, mathml{"<mi>ReLU</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return positive_part(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<step>(x);
  }
};

}  // namespace alphaform::functions

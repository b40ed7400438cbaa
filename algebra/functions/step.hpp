#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/sign.hpp>

namespace alphaform::functions {

struct step final {
  static constexpr std::string_view name = "step", meaning = "1 where x > 0, else 0";
  static constexpr layout text{"step(@)"}, latex{"\\mathrm{step}(@)"}, mathml{"<mi>step</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return positive_part(sign::value<R>(x));
  }
  template <class E>
  static constexpr E slope(const E&) {
    return constant<E>("0", 0);
  }
};

}  // namespace alphaform::functions

#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct sign final {
  static constexpr std::string_view name = "sign", meaning = "sign";
  static constexpr layout text{"sign(@)"}, latex{"\\mathrm{sign}(@)"}, mathml{"<mi>sign</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return unit_sign(x);
  }
  template <class E>
  static constexpr E slope(const E&) {
    return constant<E>("0", 0);
  }
};

}  // namespace alphaform::functions

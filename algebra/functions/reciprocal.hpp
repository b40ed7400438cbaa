#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct reciprocal final {
  static constexpr std::string_view name = "1/", meaning = "reciprocal";
  static constexpr layout text{"1/#", level::product, level::power}, latex{"\\frac{1}{@}"},
      mathml{"<mfrac><mn>1</mn>@</mfrac>"};
  template <class R>
  static R value(const R& x) {
    return 1 / x;
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return -(call<reciprocal>(x) * call<reciprocal>(x));
  }
};

}  // namespace alphaform::functions

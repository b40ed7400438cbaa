#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/reciprocal.hpp>

namespace alphaform::functions {

struct rsqrt final {
  static constexpr std::string_view name = "rsqrt", meaning = "reciprocal of the square root";
  static constexpr layout text{"1/√#", level::product}, latex{"\\frac{1}{\\sqrt{@}}"},
      mathml{"<mfrac><mn>1</mn><msqrt>@</msqrt></mfrac>"};
  template <class R>
  static R value(const R& x) {
    using std::sqrt;
    return 1 / sqrt(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return constant<E>("-0.5", -0.5) * (call<rsqrt>(x) * call<reciprocal>(x));
  }
};

}  // namespace alphaform::functions

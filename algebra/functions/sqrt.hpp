#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/rsqrt.hpp>

namespace alphaform::functions {

struct sqrt final {
  static constexpr std::string_view name = "sqrt", meaning = "square root";
  static constexpr layout text{"√#", level::product}, latex{"\\sqrt{@}"}, mathml{"<msqrt>@</msqrt>"};
  template <class R>
  static R value(const R& x) {
    using std::sqrt;
    return sqrt(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return constant<E>("0.5", 0.5) * call<rsqrt>(x);
  }
};

}  // namespace alphaform::functions

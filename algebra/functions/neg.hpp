#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct neg final {
  static constexpr std::string_view name = "-", meaning = "negation";
  static constexpr layout text{"-#", level::sum, level::product}, latex{"-#", level::sum, level::product},
      mathml{"<mo>−</mo>#", level::sum, level::product};
  template <class R>
  static R value(const R& x) {
    return -x;
  }
  template <class E>
  static constexpr E slope(const E&) {
    return constant<E>("-1", -1);
  }
};

}  // namespace alphaform::functions

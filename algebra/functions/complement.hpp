#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct complement final {
  static constexpr std::string_view name = "1-", meaning = "one minus";
  static constexpr layout text{"1 - #", level::sum, level::product}, latex{"1 - #", level::sum, level::product},
      mathml{"<mn>1</mn><mo>−</mo>#", level::sum, level::product};
  template <class R>
  static R value(const R& x) {
    return 1 - x;
  }
  template <class E>
  static constexpr E slope(const E&) {
    return constant<E>("-1", -1);
  }
};

}  // namespace alphaform::functions

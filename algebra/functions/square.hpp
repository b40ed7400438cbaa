#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct square final {
  static constexpr std::string_view name = "square", meaning = "square";
  static constexpr layout text{"#²", level::power}, latex{"{#}^2", level::power},
      mathml{"<msup>#<mn>2</mn></msup>", level::power};
  template <class R>
  static R value(const R& x) {
    return x * x;
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return x + x;
  }
};

}  // namespace alphaform::functions

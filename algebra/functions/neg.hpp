#pragma once
#include "arithmetic.hpp"

namespace alphaform::functions {

struct neg final {
  static constexpr std::string_view name = "-", meaning = "negation";
  static constexpr layout text{"-#", level::sum, level::product}, latex{"-#", level::sum, level::product},
      mathml{"<mo>−</mo>#", level::sum, level::product};
  template <class R>
  static R value(const R& x) {
    return -x;
  }
};

}  // namespace alphaform::functions

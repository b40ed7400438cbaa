#pragma once
#include "arithmetic.hpp"

namespace alphaform::functions {

struct relu final {
  static constexpr std::string_view name = "relu", meaning = "positive part";
  static constexpr layout text{"ReLU(@)"}, latex{"\\mathrm{ReLU}(@)"}, mathml{"<mi>ReLU</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return positive_part(x);
  }
};

}  // namespace alphaform::functions

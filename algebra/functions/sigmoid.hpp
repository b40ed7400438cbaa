#pragma once
#include "arithmetic.hpp"

namespace alphaform::functions {

struct sigmoid final {
  static constexpr std::string_view name = "sigmoid", meaning = "logistic function 1 / (1 + exp(-x))";
  static constexpr layout text{"σ(@)"}, latex{"\\sigma(@)"}, mathml{"<mi>σ</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return logistic(x);
  }
};

}  // namespace alphaform::functions

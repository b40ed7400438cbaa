#pragma once
#include "arithmetic.hpp"

namespace alphaform::functions {

struct silu final {
  static constexpr std::string_view name = "silu", meaning = "x times its logistic function";
  static constexpr layout text{"SiLU(@)"}, latex{"\\mathrm{SiLU}(@)"}, mathml{"<mi>SiLU</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return x * logistic(x);
  }
};

}  // namespace alphaform::functions

#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/sigmoid.hpp>

namespace alphaform::functions {

struct silu final {
  static constexpr std::string_view name = "silu", meaning = "x times its logistic function";
  static constexpr layout text{"SiLU(@)"}, latex{"\\mathrm{SiLU}(@)"}, mathml{"<mi>SiLU</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    return x * logistic(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<sigmoid>(x) + x * (call<sigmoid>(x) * call<complement>(call<sigmoid>(x)));
  }
};

}  // namespace alphaform::functions

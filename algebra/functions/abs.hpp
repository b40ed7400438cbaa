#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/sign.hpp>

namespace alphaform::functions {

struct abs final {
  static constexpr std::string_view name = "abs", meaning = "absolute value";
  static constexpr layout text{"|@|"}, latex{"\\lvert @ \\rvert"}, mathml{"<mo>|</mo>@<mo>|</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::abs;
    return abs(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<sign>(x);
  }
};

}  // namespace alphaform::functions

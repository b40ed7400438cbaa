// Sine and cosine: each is the other's slope.
#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>

namespace alphaform::functions {

struct sin;

struct cos final {
  static constexpr std::string_view name = "cos", meaning = "cosine";
  static constexpr layout text{"cos(@)"}, latex{"\\cos(@)"}, mathml{"<mi>cos</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::cos;
    return cos(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return -call<sin>(x);
  }
};
struct sin final {
  static constexpr std::string_view name = "sin", meaning = "sine";
  static constexpr layout text{"sin(@)"}, latex{"\\sin(@)"}, mathml{"<mi>sin</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::sin;
    return sin(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<cos>(x);
  }
};

}  // namespace alphaform::functions

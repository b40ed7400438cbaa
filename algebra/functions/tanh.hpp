#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/complement.hpp>
#include <alphaform/algebra/functions/square.hpp>

namespace alphaform::functions {

struct tanh final {
  static constexpr std::string_view name = "tanh", meaning = "hyperbolic tangent";
  static constexpr layout text{"tanh(@)"}, latex{"\\tanh(@)"}, mathml{"<mi>tanh</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::tanh;
    return tanh(x);
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<complement>(call<square>(call<tanh>(x)));
  }
};

}  // namespace alphaform::functions

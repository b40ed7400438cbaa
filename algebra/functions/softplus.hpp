#pragma once
#include <alphaform/algebra/functions/arithmetic.hpp>
#include <alphaform/algebra/functions/sigmoid.hpp>

namespace alphaform::functions {

struct softplus final {
  static constexpr std::string_view name = "softplus", meaning = "log(1 + exp(x)), without overflow";
  static constexpr layout text{"softplus(@)"}, latex{"\\mathrm{softplus}(@)"},
      mathml{"<mi>softplus</mi><mo>(</mo>@<mo>)</mo>"};
  template <class R>
  static R value(const R& x) {
    using std::abs;
    using std::exp;
    using std::log1p;
    return positive_part(x) + log1p(R(exp(-abs(x))));
  }
  template <class E>
  static constexpr E slope(const E& x) {
    return call<sigmoid>(x);
  }
};

}  // namespace alphaform::functions

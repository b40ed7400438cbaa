// Texts that come in stretches: the recurrence goes on from its state, and that state appears in r.
#include <doctest/doctest.h>

#include <alphaform/backends/continued.hpp>

#include "random_mixer.hpp"

namespace alphaform {
namespace {

using Eigen::MatrixXd;
using test::as_stream;
using test::random_mixer;

/// The environment of some of the tokens.
environment<double> of_tokens(environment<double> env, std::size_t begin, std::size_t end) {
  for (auto& [name, x] : env.inputs) x = x.slice(axis::token, begin, end);
  return env;
}

constexpr double rounding = 1e-11;  // y by another order of the same sums

TEST_CASE("stretches of a text give what the whole text gives, and y = H x + r in each of them") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    random_mixer m(a, {11, 2, 3, 4, 3, 4, 2}, 41);
    m.slow();
    const environment<double> env = m.bound(reference_kernels());
    continued_attention<double> c(m.formula(), reference_kernels());
    if (m.is_two_sided()) {
      CHECK_THROWS_WITH_AS(c.next(of_tokens(env, 0, 4)), doctest::Contains("needs the whole text"), user_error);
      continue;
    }
    auto whole = m.on(reference_kernels());
    const MatrixXd y = as_stream(whole.output()), r = as_stream(whole.remainder());
    const double scale = y.cwiseAbs().maxCoeff();
    double of_state = 0;
    Eigen::Index begin = 0;
    for (const Eigen::Index tokens : {4, 1, 1, 5}) {
      const auto part =
          c.next(of_tokens(env, static_cast<std::size_t>(begin), static_cast<std::size_t>(begin + tokens)));
      const MatrixXd here = y.middleRows(begin, tokens), found = as_stream(part.r);
      CHECK((as_stream(part.y) - here).cwiseAbs().maxCoeff() <= rounding * scale);
      CHECK((as_stream(part.Hx) + found - here).cwiseAbs().maxCoeff() <= rounding * scale);
      if (begin == 0)
        CHECK((found - r.topRows(tokens)).cwiseAbs().maxCoeff() <= rounding * scale);
      else
        of_state = std::max(of_state, (found - r.middleRows(begin, tokens)).cwiseAbs().maxCoeff());
      begin += tokens;
    }
    CHECK(of_state > 1e-4 * scale);  // what came before is in r
  }
}

}  // namespace
}  // namespace alphaform

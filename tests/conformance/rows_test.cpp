// Rows, whose units are 0 in most windows of tokens, against the transpose of the same stream without knowing that.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

ON_EVERY_DEVICE("a row is what the transpose makes of its unit, whichever windows are zero") {
  USE_DEVICE();
  const kernels<float>& k = *test::tested_device;
  for (const architecture& a : registry) {
    const std::string architecture{a.name};
    CAPTURE(architecture);
    const test::random_mixer m(
        a, {.tokens = 600, .heads = 2, .channels = 20, .states = 4, .ranks = 3, .taps = 4, .groups = 1}, 5);
    if (m.formula().diagonal != m.formula().formula) continue;  // H passes from channel to channel
    auto h = m.on(k);
    const std::size_t lanes = volume(h.stream()) / m.tokens();
    for (const std::size_t token : {std::size_t{0}, std::size_t{140}, std::size_t{256}, m.tokens() - 1}) {
      CAPTURE(token);
      std::vector<float> unit(volume(h.stream()));
      std::fill_n(unit.begin() + static_cast<std::ptrdiff_t>(token * lanes), lanes, 1.0f);
      const std::vector<float> row = numbers_of(h.row(token)),
                               wanted = numbers_of(h.adjoint(stored(unit, h.stream(), k)));
      float most = 0, scale = 0;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const float difference = std::abs(row[i] - wanted[i]);
        most = difference <= most ? most : difference;  // NaN is more
        scale = std::max(scale, std::abs(wanted[i]));
      }
      CHECK(most <= 1e-6f * scale);  // a few roundings, where a unit that lanes share takes another path
    }
  }
}

}  // namespace
}  // namespace alphaform

// A transition works within a token: a filter does not.
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
constexpr auto h = scan(diag(param<"w">)) * input<"x">;
}  // namespace alphaform

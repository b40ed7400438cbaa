// A transition works within a token: a filter does not.
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
// expect: scan: the transition mixes tokens
constexpr auto h = scan(fir<"w">) * input<"x">;
}  // namespace alphaform

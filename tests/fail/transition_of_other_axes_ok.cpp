// A transition must make the axes that it consumes: the state has the same axes at every token.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
constexpr auto h = scan(diag(input<"f", state>)) * input<"x", chan | state>;
}  // namespace alphaform

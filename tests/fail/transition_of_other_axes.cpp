// A transition must make the axes that it consumes: the state has the same axes at every token.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
// expect: scan: the transition must make the axes that it consumes
constexpr auto h = scan(contract<state>) * input<"x", chan | state>;
}  // namespace alphaform

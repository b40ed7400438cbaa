// The read gate sums the state away, so it needs the state axis.
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
constexpr auto a = exp(param<"A", chan | state>);
constexpr auto b = input<"b", state>;
constexpr auto c = input<"c">;
constexpr auto d = input<"d", state>;
// expect: unrolled: the read gate needs the state axis
constexpr auto s = unrolled(decay(a), write(b), read(c));
}  // namespace alphaform

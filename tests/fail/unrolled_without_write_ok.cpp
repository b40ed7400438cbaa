// A recurrence needs its decay, its write and its read.
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
constexpr auto a = exp(param<"A", chan | state>);
constexpr auto b = input<"b", state>;
constexpr auto c = input<"c", state>;
constexpr auto s = unrolled(decay(a), write(b), read(c));
}  // namespace alphaform

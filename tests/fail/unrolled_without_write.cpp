// A recurrence needs its decay, its write and its read.
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
constexpr auto a = exp(param<"A", chan | state>);
constexpr auto b = input<"b", state>;
constexpr auto c = input<"c", state>;
// expect: unrolled needs decay(...), write(...) and either read(...) or bonus(...)
constexpr auto s = unrolled(decay(a), read(c));
}  // namespace alphaform

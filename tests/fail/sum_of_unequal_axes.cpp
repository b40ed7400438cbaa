// A sum of streams needs equal axes: nothing broadcasts silently.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto b = input<"b", state>;
// expect: a sum of streams needs equal axes on both sides
constexpr auto y = x + b;
}  // namespace alphaform

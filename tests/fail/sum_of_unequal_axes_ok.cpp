// A sum of streams needs equal axes: nothing broadcasts silently.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto b = input<"b", state>;
constexpr auto y = x + contract<state> * (expand<chan> * b);
}  // namespace alphaform

// An operator works on streams that have its axes.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto y = contract<state> * (expand<state> * x);
}  // namespace alphaform

// An operator works on streams that have its axes.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
// expect: the stream lacks an axis that the operator works on
constexpr auto y = contract<state> * x;
}  // namespace alphaform

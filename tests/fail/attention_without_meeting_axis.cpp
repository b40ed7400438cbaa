// Queries and keys meet over the state axis.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
// expect: attend: queries and keys need the state axis
constexpr auto a = attend(input<"q">, input<"k">);
}  // namespace alphaform

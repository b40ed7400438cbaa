// Queries and keys meet over the state axis.
#include <alphaform/algebra/language.hpp>

namespace alphaform {
constexpr auto a = attend(input<"q", state>, input<"k", state>);
}  // namespace alphaform

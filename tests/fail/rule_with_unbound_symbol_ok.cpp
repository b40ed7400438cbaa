// A rule cannot make a term of a symbol that its pattern does not bind.
#include <alphaform/algebra/rules.hpp>

namespace alphaform {
using namespace rows;
constexpr auto broken = row("broken", at(p, x), at(p, x), rule_class::mathematical, "", "");
}  // namespace alphaform

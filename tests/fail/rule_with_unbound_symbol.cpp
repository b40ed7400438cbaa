// A rule cannot make a term of a symbol that its pattern does not bind.
#include <alphaform/algebra/rules.hpp>

namespace alphaform {
using namespace rows;
// expect: the result of a rule uses a symbol that its pattern does not bind
constexpr auto broken = row("broken", at(p, x), at(q, x), rule_class::mathematical, "", "");
}  // namespace alphaform

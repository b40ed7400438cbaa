// A rule replaces a stream by a stream or an operator by an operator.
#include <alphaform/algebra/rules.hpp>

namespace alphaform {
using namespace rows;
// expect: both sides of a rule must be streams, or both operators
constexpr auto broken = row("broken", at(p, x), p, rule_class::mathematical, "", "");
}  // namespace alphaform

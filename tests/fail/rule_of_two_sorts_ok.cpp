// A rule replaces a stream by a stream or an operator by an operator.
#include <alphaform/algebra/rules.hpp>

namespace alphaform {
using namespace rows;
constexpr auto broken = row("broken", at(p, x), x, rule_class::mathematical, "", "");
}  // namespace alphaform

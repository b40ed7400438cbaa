// A condition cannot ask about a symbol that the pattern does not bind.
#include <alphaform/algebra/rules/symbols.hpp>

namespace alphaform {
using namespace rows;
// expect: the condition of a rule uses a symbol that its pattern does not bind
constexpr auto broken =
    row("broken", then(D(x), D(y)), then(D(y), D(x)), rule_class::commuting, "", "", {"", nullptr, "q"});
}  // namespace alphaform

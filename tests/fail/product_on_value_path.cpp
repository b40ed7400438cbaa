// A plain product of two streams that depend on the value input is refused: one of them must be said to be the gate.
#include <alphaform/algebra/derive.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto y = silu(x) * x;
// expect: no implicit attention: a term on the value path
constexpr auto derived = derive(y);
}  // namespace alphaform

// A plain product of two streams that depend on the value input is refused: one of them must be said to be the gate.
#include <alphaform/algebra/derive.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto y = silu(x) * x;
// expect: write gate(a) * b, which freezes a
constexpr auto derived = derive(y);
}  // namespace alphaform

// Only an activation of the form f(s) = g(s) s is a Diag of its own input; the sigmoid is none.
#include <alphaform/algebra/derive.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto y = silu(x);
constexpr auto derived = derive(y);
}  // namespace alphaform

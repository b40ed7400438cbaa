// Only an activation of the form f(s) = g(s) s is a Diag of its own input; the sigmoid is none.
#include <alphaform/algebra/derive.hpp>

namespace alphaform {
constexpr auto x = input<"x">;
constexpr auto y = sigmoid(x);
// expect: no implicit attention: a term on the value path
constexpr auto derived = derive(y);
}  // namespace alphaform

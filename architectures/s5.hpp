// S5: one complex state for all channels, h_t = e^{Lambda Delta} h_{t-1} + Lambda^{-1} (e^{Lambda Delta} - 1) B u_t,
// y_t = 2 Re(C h_t) + D u_t (zero-order hold, conjugate symmetry). Smith et al. 2023, Eq. 2 to 6; the paper's App. E
// calls it an attention tensor, which it is, and data-controlled, which it is not: the same H serves every text.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/architectures/complex_numbers.hpp>

namespace alphaform::architectures {

struct s5 final {
  static constexpr heading about{"s5", "S5", "paper App. E; Smith et al. 2023, Eq. 2-6",
                                 "A complex recurrence over one state for all channels, the same for every token."};
  static constexpr projection inputs[] = {{"x", input<"u">.e}};
  static constexpr auto core = [] {
    auto dt = exp(param<"log_step", state>);
    complex_stream<state> lambda{param<"Lambda_re", state>, param<"Lambda_im", state>};
    complex_stream<state> scaled{dt * lambda.re, dt * lambda.im};
    auto B = multiply(expm1(scaled) / lambda) * complex_mix<"B_re", "B_im", state, chan>;
    return diag(number<"2">) * real * complex_mix<"C_re", "C_im", chan, state> * scan(multiply(exp(scaled))) * B *
           embed;
  }();
  static constexpr auto attention = (core + diag(param<"D">)) * input<"x">;
  static constexpr auto output = input<"y">;
};

}  // namespace alphaform::architectures

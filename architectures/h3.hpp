// H3: y = q (h_diag * (k' v) + D k' v) with k' = h_shift * k + D_k k: a short filter on the keys and a state space
// model with complex diagonal state over the products of keys and values, both the same for every text; q and k' are
// what the data control. Fu et al. 2023, Alg. 1. Of heads with several channels the products are all pairs.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/architectures/complex_numbers.hpp>

namespace alphaform::architectures {

struct h3 final {
  static constexpr heading about{"h3", "H3", "Fu et al. 2023, Alg. 1",
                                 "A fixed complex recurrence per head between two gates that depend on the token."};
  static constexpr axes wide = head | chan, keys = head | state, modes = head | rank;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"v_proj.weight", "v_proj.bias", wide>(u).e},
                                          {"q", affine<"q_proj.weight", "q_proj.bias", keys>(u).e},
                                          {"k", affine<"k_proj.weight", "k_proj.bias", keys>(u).e}};
  /// S4D by the bilinear rule, with B in C: 2 Re sum_n dt C_n / (1 - dt A_n / 2) h_n, h_t = (1 + dt A / 2) / (1 - dt A
  /// / 2) h_{t-1} + x_t.
  static constexpr auto long_filter = [] {
    auto dt = exp(param<"kernel.log_dt", head>), half = number<"0.5"> * dt;
    auto A_re = -exp(param<"kernel.inv_A_real", modes>), A_im = param<"kernel.A_imag", modes>,
         one = widen<modes>(number<"1">);
    complex_stream<modes> ahead{one + half * A_re, half * A_im}, behind{one - half * A_re, -(half * A_im)};
    complex_stream<modes> C{dt * param<"kernel.C_re", modes>, dt * param<"kernel.C_im", modes>};
    return diag(number<"2">) * contract<rank> * real * multiply(C / behind) * scan(multiply(ahead / behind)) * embed *
           expand<rank>;
  }();
  static constexpr auto attention = [] {
    auto k = fir<"ssm_k_kernel", keys> * input<"k", keys> + param<"ssm_k_D", keys> * input<"k", keys>;
    auto core =
        contract<state> * diag(input<"q", keys>) * (long_filter + diag(param<"D", head>)) * diag(k) * expand<state>;
    return core * input<"x", wide>;
  }();
  static constexpr auto output = affine<"output_linear.weight", "output_linear.bias">(input<"y">);
};

}  // namespace alphaform::architectures

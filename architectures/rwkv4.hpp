// RWKV-4's time mixing: per channel a weighted mean of past values, sum_j e^{(i-1-j) w + k_j} v_j with e^{u + k_i} for
// the current token, gated by sigma(r). Peng et al. 2023; the paper's Eq. 18 to 21. In the paper's Eq. 20 the indices
// of k are interchanged (the numerators need k_j, the denominator the sum over m < i), and v = x drops the value
// projection and its token shift.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct rwkv4 final {
  static constexpr heading about{
      "rwkv4", "RWKV-4", "paper Eq. 18-21; Peng et al. 2023",
      "A recurrence per channel with a fixed decay, whose rows are weighted means of past values."};
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", linear<"value.weight">(shift<"time_mix_value">(u)).e},
                                          {"k", linear<"key.weight">(shift<"time_mix_key">(u)).e},
                                          {"r", linear<"receptance.weight">(shift<"time_mix_receptance">(u)).e}};
  static constexpr auto x = input<"x">, k = input<"k">, r = input<"r">;
  static constexpr auto w = let<"w">(-exp(param<"time_decay">));
  static constexpr auto wkv = let<"W">(unrolled(decay(exp(w)), write(exp(k)), bonus(exp(param<"time_first">))));
  static constexpr auto attention = gate(sigmoid(r)) * (rownorm(wkv) * x);
  static constexpr auto output = linear<"output.weight">(input<"y">);
  static constexpr printed_form printed{"Eq. 20-21",
                                        {},
                                        "Eq. 20's numerators carry k_t where they need k_j (k_i on the diagonal), and "
                                        "its denominators mix t, i and m. With these "
                                        "indices put right Eq. 21 is exact on x = v, the projected, token-shifted "
                                        "values; v = x in Eq. 18 drops that projection."};
};

}  // namespace alphaform::architectures

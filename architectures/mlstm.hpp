// mLSTM, the matrix memory of xLSTM: C_t = f_t C_{t-1} + e^{i_t} k_t v_t', n_t alike with k_t, h_t = C_t' q_t /
// max(|n_t q_t|, 1) with f = sigma(f~) and q / sqrt(d); LayerNorm of the heads without bias, gated by sigma(o). Beck et
// al. 2024, Eq. 19 to 27, in the form of xLSTM-7B (Beck et al. 2025, Eq. 1 to 9): both gates are capped, 15 tanh(x /
// 15). The stabiliser m_t = max(log f_t + m_{t-1}, i_t), m_{-1} = 0, cancels except in the epsilon that is added after
// it.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

struct mlstm final {
  static constexpr heading about{"mlstm", "mLSTM (xLSTM)", "Beck et al. 2024, Eq. 19-27",
                                 "A recurrence per head with a matrix as state, whose rows are normalised."};
  static constexpr axes wide = head | chan, keys = head | state;
  static constexpr auto u = input<"u">;
  static constexpr projection inputs[] = {{"x", affine<"v.weight", "v.bias", wide>(u).e},
                                          {"q", affine<"q.weight", "q.bias", keys>(u).e},
                                          {"k", affine<"k.weight", "k.bias", keys>(u).e},
                                          {"i", affine<"igate_preact.weight", "igate_preact.bias", head>(u).e},
                                          {"f", affine<"fgate_preact.weight", "fgate_preact.bias", head>(u).e},
                                          {"o", affine<"ogate_preact.weight", "ogate_preact.bias", wide>(u).e}};
  static constexpr auto i = let<"i">(soft_cap<"gate_cap">(input<"i", head>));
  static constexpr auto log_f = let<"l">(log_sigmoid(soft_cap<"gate_cap">(input<"f", head>)));
  static constexpr auto memory =
      unrolled(decay(exp(log_f)), write(exp(i) * input<"k", keys>), read(scaled(input<"q", keys>)));
  static constexpr auto normaliser = [] {
    auto sums = memory * ones<head>;
    auto m = let<"m">(max(peak(log_f, i), scan(number<"1">) * log_f));
    return reciprocal(max(abs(sums), number<"1">) + param<"cell_eps", no_axes> * exp(m));
  }();
  static constexpr auto h = diag(normaliser) * (memory * input<"x", wide>);
  static constexpr auto attention = gate(sigmoid(input<"o", wide>)) * group_norm<"multihead_norm.weight", "eps">(h);
  static constexpr auto output = affine<"out_proj.weight", "out_proj.bias">(input<"y">);
};

}  // namespace alphaform::architectures

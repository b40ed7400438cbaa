// The projections of a mixer's input u: those that are W u + b, those that several heads share, and those of low rank.
// Token shifts stand with RWKV, positive values with minGRU.
#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

/// W u + b for an input with the axes `letters`; without a bias where that is empty.
struct plain final {
  std::string_view architecture, input, letters;
  const char *weight, *bias;
};
constexpr plain plain_inputs[] = {{"mamba", "x", "TC", "in_proj.weight[x]", "in_proj.bias[x]"},
                                  {"mamba", "z", "TC", "in_proj.weight[z]", "in_proj.bias[z]"},
                                  {"falcon_mamba", "x", "TC", "in_proj.weight[x]", "in_proj.bias[x]"},
                                  {"falcon_mamba", "z", "TC", "in_proj.weight[z]", "in_proj.bias[z]"},
                                  {"vim", "x", "TC", "in_proj.weight[x]", "in_proj.bias[x]"},
                                  {"vim", "z", "TC", "in_proj.weight[z]", "in_proj.bias[z]"},
                                  {"mamba2", "x", "TGHC", "in_proj.weight[x]", "in_proj.bias[x]"},
                                  {"mamba2", "z", "TGHC", "in_proj.weight[z]", "in_proj.bias[z]"},
                                  {"mamba2", "b", "TGN", "in_proj.weight[B]", "in_proj.bias[B]"},
                                  {"mamba2", "c", "TGN", "in_proj.weight[C]", "in_proj.bias[C]"},
                                  {"mamba2", "dt", "TGH", "in_proj.weight[dt]", "in_proj.bias[dt]"},
                                  {"mamba2_grouped", "b", "TGN", "in_proj.weight[B]", "in_proj.bias[B]"},
                                  {"griffin", "x", "THC", "linear_x.weight", "linear_x.bias"},
                                  {"griffin", "g", "THC", "linear_y.weight", "linear_y.bias"},
                                  {"hawk", "x", "THC", "linear_x.weight", "linear_x.bias"},
                                  {"hawk", "g", "THC", "linear_y.weight", "linear_y.bias"},
                                  {"hgrn", "x", "TC", "i_proj.weight", "i_proj.bias"},
                                  {"hgrn", "f", "TC", "f_proj.weight", "f_proj.bias"},
                                  {"hgrn", "g", "TC", "g_proj.weight", "g_proj.bias"},
                                  {"hgrn2", "x", "THC", "i_proj.weight", "i_proj.bias"},
                                  {"hgrn2", "q", "THN", "q_proj.weight", "q_proj.bias"},
                                  {"hgrn2", "f", "THN", "f_proj.weight", "f_proj.bias"},
                                  {"hgrn_complex", "x", "TCZ", "input_proj.weight", "input_proj.bias"},
                                  {"hgrn_complex", "f", "TC", "lambda_proj.weight", "lambda_proj.bias"},
                                  {"hgrn_complex", "g", "TCZ", "gate_proj.weight", "gate_proj.bias"},
                                  {"mingru", "z", "TC", "to_hidden_and_gate.weight[gate]", ""},
                                  {"minlstm", "f", "TC", "to_hidden_and_f_i_gate.weight[f]", ""},
                                  {"minlstm", "i", "TC", "to_hidden_and_f_i_gate.weight[i]", ""},
                                  {"attention", "q", "TGHN", "q_proj.weight", "q_proj.bias"},
                                  {"attention", "k", "TGN", "k_proj.weight", "k_proj.bias"},
                                  {"retnet", "q", "TGHN", "q_proj.weight", "q_proj.bias"},
                                  {"retnet", "k", "TGN", "k_proj.weight", "k_proj.bias"},
                                  {"retnet", "g", "TGHC", "g_proj.weight", "g_proj.bias"},
                                  {"gla", "q", "TGHN", "q_proj.weight", "q_proj.bias"},
                                  {"gla", "k", "TGN", "k_proj.weight", "k_proj.bias"},
                                  {"gla", "g", "TGHC", "g_proj.weight", "g_proj.bias"},
                                  {"linear_attention", "q", "TGHR", "q_proj.weight", "q_proj.bias"},
                                  {"linear_attention", "k", "TGR", "k_proj.weight", "k_proj.bias"},
                                  {"gateloop", "x", "THC", "v_proj.weight", ""},
                                  {"gateloop", "q", "THN", "q_proj.weight", ""},
                                  {"gateloop", "k", "THN", "k_proj.weight", ""},
                                  {"gateloop", "a", "THZ", "a_proj.weight", "a_proj.bias"},
                                  {"gateloop", "g", "THC", "g_proj.weight", ""},
                                  {"delta_net", "x", "TGHC", "v_proj.weight", "v_proj.bias"},
                                  {"delta_net", "q", "TGN", "q_proj.weight", "q_proj.bias"},
                                  {"delta_net", "k", "TGN", "k_proj.weight", "k_proj.bias"},
                                  {"delta_net", "b", "TGH", "b_proj.weight", "b_proj.bias"},
                                  {"gated_delta_net", "x", "TGHC", "v_proj.weight", "v_proj.bias"},
                                  {"gated_delta_net", "q", "TGN", "q_proj.weight", "q_proj.bias"},
                                  {"gated_delta_net", "k", "TGN", "k_proj.weight", "k_proj.bias"},
                                  {"gated_delta_net", "b", "TGH", "b_proj.weight", "b_proj.bias"},
                                  {"gated_delta_net", "a", "TGH", "a_proj.weight", "a_proj.bias"},
                                  {"gated_delta_net", "g", "TGHC", "g_proj.weight", "g_proj.bias"},
                                  {"kda", "x", "TGHC", "v_proj.weight", "v_proj.bias"},
                                  {"kda", "q", "TGN", "q_proj.weight", "q_proj.bias"},
                                  {"kda", "k", "TGN", "k_proj.weight", "k_proj.bias"},
                                  {"kda", "b", "TGH", "b_proj.weight", "b_proj.bias"},
                                  {"mlstm", "x", "THC", "v.weight", "v.bias"},
                                  {"mlstm", "q", "THN", "q.weight", "q.bias"},
                                  {"mlstm", "k", "THN", "k.weight", "k.bias"},
                                  {"mlstm", "i", "TH", "igate_preact.weight", "igate_preact.bias"},
                                  {"mlstm", "f", "TH", "fgate_preact.weight", "fgate_preact.bias"},
                                  {"mlstm", "o", "THC", "ogate_preact.weight", "ogate_preact.bias"},
                                  {"h3", "x", "THC", "v_proj.weight", "v_proj.bias"},
                                  {"h3", "q", "THN", "q_proj.weight", "q_proj.bias"},
                                  {"h3", "k", "THN", "k_proj.weight", "k_proj.bias"},
                                  {"hyena", "x", "TC", "in_proj.weight[v]", "in_proj.bias[v]"},
                                  {"hyena", "p", "TC", "in_proj.weight[x0]", "in_proj.bias[x0]"},
                                  {"hyena", "q", "TC", "in_proj.weight[x1]", "in_proj.bias[x1]"}};

TEST_CASE("plain inputs are linear maps of the mixer's input, a row for every entry in memory order") {
  for (const plain& p : plain_inputs)
    projects(p.architecture, p.input, p.letters, [&](const layer& l) {
      const std::string axes(p.letters.substr(1));
      const array y = matrix(l(p.weight, axes + "C"), l("u", "TC"), l.shape(p.letters));
      return p.bias[0] == 0 ? y : y + l(p.bias, axes);
    });
}
TEST_CASE("values of a group are projected once and repeated for its heads") {
  for (const std::string_view name : {"attention", "retnet", "gla", "linear_attention"})
    projects(name, "x", "TGHC", [](const layer& l) {
      const array once = matrix(l("v_proj.weight", "GCC"), l("u", "TC"), l.shape("TGC")) + l("v_proj.bias", "GC");
      array y = l.zeros("TGHC");
      for (index t = 0; t < l.T; ++t)
        for (index g = 0; g < l.G; ++g)
          for (index h = 0; h < l.H; ++h)
            for (index c = 0; c < l.C; ++c) y(t, g, h, c) = once(t, g, c);
      return y;
    });
}
TEST_CASE("GLA's decay and KDA's decay and gate are low-rank, without an activation between") {
  const auto low_rank = [](const layer& l, const std::string& name, const std::string& letters, bool bias) {
    const array low = matrix(l(name + ".0.weight", "RC"), l("u", "TC"), l.shape("TR"));
    const array y = matrix(l(name + ".1.weight", letters + "R"), low, l.shape("T" + letters));
    return bias ? y + l(name + ".1.bias", letters) : y;
  };
  projects("gla", "a", "TGN", [&](const layer& l) { return low_rank(l, "gk_proj", "GN", true); });
  projects("kda", "a", "TGHN", [&](const layer& l) { return low_rank(l, "f_proj", "GHN", false); });
  projects("kda", "g", "TGHC", [&](const layer& l) { return low_rank(l, "g_proj", "GHC", true); });
}

/// What becomes of y [T, C] after the attention: W y + b; nothing where there is no weight.
struct plain_output final {
  std::string_view architecture;
  const char *weight, *bias;
};
constexpr plain_output plain_outputs[] = {{"mamba", "out_proj.weight", "out_proj.bias"},
                                          {"falcon_mamba", "out_proj.weight", "out_proj.bias"},
                                          {"vim", "out_proj.weight", "out_proj.bias"},
                                          {"mamba2", "out_proj.weight", "out_proj.bias"},
                                          {"mamba2_grouped", "out_proj.weight", "out_proj.bias"},
                                          {"hgrn_complex", "out_proj.weight", "out_proj.bias"},
                                          {"mlstm", "out_proj.weight", "out_proj.bias"},
                                          {"hyena", "out_proj.weight", "out_proj.bias"},
                                          {"griffin", "linear_out.weight", "linear_out.bias"},
                                          {"hawk", "linear_out.weight", "linear_out.bias"},
                                          {"rwkv4", "output.weight", ""},
                                          {"rwkv5", "output.weight", ""},
                                          {"rwkv6", "output.weight", ""},
                                          {"rwkv7", "output.weight", "output.bias"},
                                          {"retnet", "o_proj.weight", "o_proj.bias"},
                                          {"hgrn", "o_proj.weight", "o_proj.bias"},
                                          {"hgrn2", "o_proj.weight", "o_proj.bias"},
                                          {"gla", "o_proj.weight", "o_proj.bias"},
                                          {"linear_attention", "o_proj.weight", "o_proj.bias"},
                                          {"delta_net", "o_proj.weight", "o_proj.bias"},
                                          {"gated_delta_net", "o_proj.weight", "o_proj.bias"},
                                          {"kda", "o_proj.weight", "o_proj.bias"},
                                          {"attention", "o_proj.weight", "o_proj.bias"},
                                          {"gateloop", "o_proj.weight", ""},
                                          {"mingru", "to_out.weight", ""},
                                          {"minlstm", "to_out.weight", ""},
                                          {"h3", "output_linear.weight", "output_linear.bias"},
                                          {"s5", "", ""}};

TEST_CASE("plain outputs are linear maps of y") {
  for (const plain_output& p : plain_outputs) {
    CAPTURE(p.architecture);
    is_value(find_architecture(p.architecture).output, "TC", [&](const layer& l) {
      const array y = l("y", "TC");
      if (p.weight[0] == 0) return y;
      const array out = matrix(l(p.weight, "CC"), y, l.shape("TC"));
      return p.bias[0] == 0 ? out : out + l(p.bias, "C");
    });
  }
}

}  // namespace
}  // namespace alphaform::test::layers

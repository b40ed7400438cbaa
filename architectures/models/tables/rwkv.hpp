// RWKV 4 to 7 as BlinkDL, transformers, flash-linear-attention and rwkv.cpp store them. Decays are stored as d, -e^d or
// e^(-e^d); low-rank matrices as [in, out] by BlinkDL and [out, in] by the others; weights of several streams in one.
#pragma once
#include <alphaform/architectures/models/tables/blocks.hpp>
#include <alphaform/architectures/rwkv4.hpp>
#include <alphaform/architectures/rwkv5.hpp>
#include <alphaform/architectures/rwkv6.hpp>
#include <alphaform/architectures/rwkv7.hpp>

namespace alphaform::models {

inline constexpr auto rwkv4 = as_architecture<architectures::rwkv4>();
inline constexpr auto rwkv5 = as_architecture<architectures::rwkv5>();
inline constexpr auto rwkv5_1 = as_architecture<architectures::rwkv5_1>();
inline constexpr auto rwkv6 = as_architecture<architectures::rwkv6>();
inline constexpr auto rwkv7 = as_architecture<architectures::rwkv7>();
inline constexpr auto rwkv7_first = as_architecture<architectures::rwkv7_first>();

// ---- channel mixes

inline constexpr auto mix_of_4 = channel_mix([](const auto& n) { return shift<"time_mix_receptance">(n); },
                                             [](const auto& n) { return shift<"time_mix_key">(n); });
inline constexpr auto mix_of_6 = [] {
  const auto n = norm<"ln2.weight", "ln2.bias", "epsilon">(x);
  const auto key = square(relu(linear<"ffn.key.weight">(lerp(n, param<"ffn.maa_k">))));
  return sigmoid(linear<"ffn.receptance.weight">(lerp(n, param<"ffn.maa_r">))) * linear<"ffn.value.weight">(key);
}();
inline constexpr auto mix_of_7 = [] {
  const auto n = norm<"ln2.weight", "ln2.bias", "epsilon">(x);
  return linear<"ffn.value.weight">(square(relu(linear<"ffn.key.weight">(lerp(n, param<"ffn.x_k">)))));
}();

// ---- stored forms and sizes

template <double (*F)(double)>
array each_entry(array a, const facts&) {
  for (double& v : a.numbers) v = F(v);
  return a;
}
inline double from_rate(double stored) { return std::log(-stored); }              // -e^d
inline double from_factor(double stored) { return std::log(-std::log(stored)); }  // e^(-e^d)
inline double as_exponential(double stored) { return std::exp(stored); }
/// One number a head, for all its entries.
template <double (*F)(double)>
array of_head(array a, const facts& f) {
  const std::size_t heads = a.numbers.size(), width = f.length("ln_x.weight", 0) / std::max<std::size_t>(heads, 1);
  array all{{heads, width}, {}};
  for (const double v : a.numbers) all.numbers.insert(all.numbers.end(), width, F(v));
  return all;
}
inline double as_stored(double v) { return v; }
/// Part K of N of the rows or of a stack of matrices, [in, out] each.
template <std::size_t K, std::size_t N>
array transposed_part(array a, const facts& f) {
  if (a.shape.size() == 2) return row_part<K, N>(transposed(std::move(a), f), f);
  array one = row_part<K, N>(std::move(a), f);
  one.shape.erase(one.shape.begin());
  return transposed(std::move(one), f);
}
template <std::size_t K, std::size_t N>
array stacked_part(array a, const facts& f) {
  array one = row_part<K, N>(std::move(a), f);
  if (one.shape.size() == 3) one.shape.erase(one.shape.begin());
  return one;
}

/// Heads of [H, S] or [H, S, 1]; of one head rwkv.cpp may drop the axis, [S, 1].
inline std::size_t decay_heads(const facts& f) {
  const std::size_t width = f.length("ln_x.weight", 0), first = f.length("time_faaaa", 0);
  return first == width ? 1 : first;
}
inline std::size_t scalar_heads(const facts& f) { return f.length("time_decay", 0); }
inline constexpr axis_length lengths_of_5[] = {{head, decay_heads}};
inline constexpr axis_length lengths_of_5_1[] = {{head, scalar_heads}};
inline constexpr axis_length lengths_of_6_fla[] = {{head, [](const facts& f) { return f.length("bonus", 0); }}};
inline constexpr axis_length lengths_of_7[] = {{head, [](const facts& f) { return f.length("r_k", 0); }}};

inline array fifth_decimal(const facts&) { return scalar(1e-5); }
inline array divided_by_8(const facts&) { return scalar(64e-5); }
inline array l2_floor(const facts&) { return scalar(1e-24); }  // the square of 1e-12
inline array layer_eps(const facts& f) { return scalar(f.number("layer_norm_epsilon|norm_eps|layer_norm_eps", 1e-5)); }
constexpr setting eps_of_block{"epsilon", layer_eps};

inline constexpr setting settings_of_4[] = {eps_of_block};
inline constexpr setting settings_of_5_cpp[] = {eps_of_block, {"eps", fifth_decimal}};
inline constexpr setting settings_of_6[] = {eps_of_block, {"eps", divided_by_8}};
inline constexpr setting settings_of_7[] = {
    eps_of_block, {"eps", divided_by_8}, {"l2_eps", zero}, {"l2_floor", l2_floor}};
inline constexpr setting settings_of_6_fla[] = {eps_of_block, {"eps", layer_eps}};
inline constexpr setting settings_of_7_fla[] = {
    eps_of_block,
    {"eps",
     [](const facts& f) { return scalar(static_cast<double>(f.length("r_k", 1)) * f.number("norm_eps", 1e-5)); }},
    {"l2_eps", [](const facts& f) { return scalar(f.flag("fuse_norm", true) ? 1e-6 : 0); }},
    {"l2_floor", [](const facts& f) { return scalar(f.flag("fuse_norm", true) ? 0 : 1e-24); }}};

// ---- names: the mixer's within its prefix, others from the model's prefix on

inline constexpr source sources_of_4_hf[] = {{"ln2.weight", "/blocks.{i}.ln2.weight"},
                                             {"ln2.bias", "/blocks.{i}.ln2.bias"}};
template <array (*Decay)(array, const facts&)>
inline constexpr source sources_of_4[] = {
    {"ln2.weight", "/blocks.{i}.ln2.weight"}, {"ln2.bias", "/blocks.{i}.ln2.bias"},
    {"time_mix_key", "time_mix_k"},           {"time_mix_value", "time_mix_v"},
    {"time_mix_receptance", "time_mix_r"},    {"time_decay", "time_decay", Decay}};
template <array (*Decay)(array, const facts&)>
inline constexpr source sources_of_5[] = {{"ln2.weight", "/blocks.{i}.ln2.weight"},
                                          {"ln2.bias", "/blocks.{i}.ln2.bias"},
                                          {"time_mix_key", "time_mix_k"},
                                          {"time_mix_receptance", "time_mix_r"},
                                          {"time_decay", "time_decay", Decay}};
template <array (*Decay)(array, const facts&), array (*First)(array, const facts&)>
inline constexpr source sources_of_5_1[] = {
    {"ln2.weight", "/blocks.{i}.ln2.weight"}, {"ln2.bias", "/blocks.{i}.ln2.bias"},
    {"time_mix_key", "time_mix_k"},           {"time_mix_receptance", "time_mix_r"},
    {"time_decay", "time_decay", Decay},      {"time_faaaa", "time_first", First}};
/// Streams w, k, v, r, g; `Low` and `High` take part K of the packed low-rank matrices, `Plain` a single one.
template <template <std::size_t, std::size_t> class Low, template <std::size_t, std::size_t> class High,
          array (*Plain)(array, const facts&)>
inline constexpr source sources_of_6[] = {{"ln2.weight", "/blocks.{i}.ln2.weight"},
                                          {"ln2.bias", "/blocks.{i}.ln2.bias"},
                                          {"maa_x", "time_maa_x"},
                                          {"maa_w", "time_maa_w"},
                                          {"maa_k", "time_maa_k"},
                                          {"maa_v", "time_maa_v"},
                                          {"maa_r", "time_maa_r"},
                                          {"maa_g", "time_maa_g"},
                                          {"maa_w1[w]", "time_maa_w1", Low<0, 5>::of},
                                          {"maa_w1[k]", "time_maa_w1", Low<1, 5>::of},
                                          {"maa_w1[v]", "time_maa_w1", Low<2, 5>::of},
                                          {"maa_w1[r]", "time_maa_w1", Low<3, 5>::of},
                                          {"maa_w1[g]", "time_maa_w1", Low<4, 5>::of},
                                          {"maa_w2[w]", "time_maa_w2", High<0, 5>::of},
                                          {"maa_w2[k]", "time_maa_w2", High<1, 5>::of},
                                          {"maa_w2[v]", "time_maa_w2", High<2, 5>::of},
                                          {"maa_w2[r]", "time_maa_w2", High<3, 5>::of},
                                          {"maa_w2[g]", "time_maa_w2", High<4, 5>::of},
                                          {"decay_w1", "time_decay_w1", Plain},
                                          {"decay_w2", "time_decay_w2", Plain},
                                          {"ffn.maa_k", "/blocks.{i}.ffn.time_maa_k"},
                                          {"ffn.maa_r", "/blocks.{i}.ffn.time_maa_r"}};
/// Parts of packed matrices as they are applied, and as BlinkDL stores them.
template <std::size_t K, std::size_t N>
struct rows_as_applied final {
  static constexpr auto of = &stacked_part<K, N>;
};
template <std::size_t K, std::size_t N>
struct columns_as_stored final {
  static constexpr auto of = &transposed_part<K, N>;
};
template <array (*Low)(array, const facts&)>
inline constexpr source sources_of_7[] = {{"ln2.weight", "/blocks.{i}.ln2.weight"},
                                          {"ln2.bias", "/blocks.{i}.ln2.bias"},
                                          {"x_r", "x_r|x_rwkvag", packed<0, 6>},
                                          {"x_w", "x_w|x_rwkvag", packed<1, 6>},
                                          {"x_k", "x_k|x_rwkvag", packed<2, 6>},
                                          {"x_v", "x_v|x_rwkvag", packed<3, 6>},
                                          {"x_a", "x_a|x_rwkvag", packed<4, 6>},
                                          {"x_g", "x_g|x_rwkvag", packed<5, 6>},
                                          {"w1", "w1", Low},
                                          {"w2", "w2", Low},
                                          {"a1", "a1", Low},
                                          {"a2", "a2", Low},
                                          {"v1", "v1", Low},
                                          {"v2", "v2", Low},
                                          {"g1", "g1", Low},
                                          {"g2", "g2", Low}};
inline array as_is(array a, const facts&) { return a; }

inline constexpr source sources_of_6_fla[] = {{"ln2.weight", "/layers.{i}.ffn_norm.weight"},
                                              {"ln2.bias", "/layers.{i}.ffn_norm.bias"},
                                              {"maa_x", "x_proj.0.mu"},
                                              {"maa_r", "x_bias", row_part<0, 5>},
                                              {"maa_w", "x_bias", row_part<1, 5>},
                                              {"maa_k", "x_bias", row_part<2, 5>},
                                              {"maa_v", "x_bias", row_part<3, 5>},
                                              {"maa_g", "x_bias", row_part<4, 5>},
                                              {"maa_w1[r]", "x_proj.0.linear.weight", row_part<0, 5>},
                                              {"maa_w1[w]", "x_proj.0.linear.weight", row_part<1, 5>},
                                              {"maa_w1[k]", "x_proj.0.linear.weight", row_part<2, 5>},
                                              {"maa_w1[v]", "x_proj.0.linear.weight", row_part<3, 5>},
                                              {"maa_w1[g]", "x_proj.0.linear.weight", row_part<4, 5>},
                                              {"maa_w2[r]", "x_proj.2.weight", column_part<0, 5>},
                                              {"maa_w2[w]", "x_proj.2.weight", column_part<1, 5>},
                                              {"maa_w2[k]", "x_proj.2.weight", column_part<2, 5>},
                                              {"maa_w2[v]", "x_proj.2.weight", column_part<3, 5>},
                                              {"maa_w2[g]", "x_proj.2.weight", column_part<4, 5>},
                                              {"receptance.weight", "r_proj.linear.weight"},
                                              {"key.weight", "k_proj.linear.weight"},
                                              {"value.weight", "v_proj.linear.weight"},
                                              {"gate.weight", "g_proj.linear.weight"},
                                              {"decay_w1", "w_proj.linear.lora.0.weight"},
                                              {"decay_w2", "w_proj.linear.lora.2.weight"},
                                              {"time_decay", "w_proj.linear.lora.2.bias"},
                                              {"time_faaaa", "bonus"},
                                              {"ln_x.weight", "g_norm.weight"},
                                              {"ln_x.bias", "g_norm.bias"},
                                              {"output.weight", "o_proj.weight"},
                                              {"ffn.key.weight", "/layers.{i}.ffn.key.linear.weight"},
                                              {"ffn.receptance.weight", "/layers.{i}.ffn.receptance.linear.weight"},
                                              {"ffn.maa_k", "/layers.{i}.ffn.key.mu"},
                                              {"ffn.maa_r", "/layers.{i}.ffn.receptance.mu"}};
inline constexpr source sources_of_7_fla[] = {{"ln2.weight", "/layers.{i}.ffn_norm.weight"},
                                              {"ln2.bias", "/layers.{i}.ffn_norm.bias"},
                                              {"x_r", "x_r|x_x", packed<0, 6>},
                                              {"x_w", "x_w|x_x", packed<1, 6>},
                                              {"x_k", "x_k|x_x", packed<2, 6>},
                                              {"x_v", "x_v|x_x", packed<3, 6>},
                                              {"x_a", "x_a|x_x", packed<4, 6>},
                                              {"x_g", "x_g|x_x", packed<5, 6>},
                                              {"receptance.weight", "r_proj.weight"},
                                              {"key.weight", "k_proj.weight"},
                                              {"value.weight", "v_proj.weight"},
                                              {"w1", "w_lora.lora.0.weight"},
                                              {"w2", "w_lora.lora.2.weight"},
                                              {"w0", "w_lora.lora.2.bias"},
                                              {"a1", "a_lora.lora.0.weight"},
                                              {"a2", "a_lora.lora.2.weight"},
                                              {"a0", "a_lora.lora.2.bias"},
                                              {"v1", "v_lora.lora.0.weight"},
                                              {"v2", "v_lora.lora.2.weight"},
                                              {"v0", "v_lora.lora.2.bias"},
                                              {"g1", "g_lora.lora.0.weight"},
                                              {"g2", "g_lora.lora.2.weight"},
                                              {"ln_x.weight", "g_norm.weight"},
                                              {"ln_x.bias", "g_norm.bias"},
                                              {"output.weight", "o_proj.weight"}};
/// A two-layer model whose blocks are counted from 1, with a constant added to the mixer's result.
inline constexpr source sources_of_7_counted[] = {{"ln2.weight", "/ln{n}b.weight"},
                                                  {"ln2.bias", "/ln{n}b.bias"},
                                                  {"w1", "w1", transposed},
                                                  {"w2", "w2", transposed},
                                                  {"a1", "a1", transposed},
                                                  {"a2", "a2", transposed},
                                                  {"v1", "v1", transposed},
                                                  {"v2", "v2", transposed},
                                                  {"g1", "g1", transposed},
                                                  {"g2", "g2", transposed},
                                                  {"output.bias", "/rosa{n}.o.bias"},
                                                  {"ffn.key.weight", "/ffn{n}.key.weight"},
                                                  {"ffn.value.weight", "/ffn{n}.value.weight"},
                                                  {"ffn.x_k", "/ffn{n}.x_k"}};

// ---- families

inline constexpr bool (*in_first_block)(const facts&) = [](const facts& f) { return f.block() == 0; };
inline constexpr mixer_choice mixer_4_hf[] = {{&rwkv4, "blocks.{i}.attention."}};
inline constexpr mixer_choice mixer_4[] = {{&rwkv4, "blocks.{i}.att."}};
inline constexpr mixer_choice mixer_5[] = {{&rwkv5, "blocks.{i}.att."}};
inline constexpr mixer_choice mixer_5_1[] = {{&rwkv5_1, "blocks.{i}.att."}};
inline constexpr mixer_choice mixer_6[] = {{&rwkv6, "blocks.{i}.att."}};
inline constexpr mixer_choice mixer_7[] = {{&rwkv7_first, "blocks.{i}.att.", in_first_block},
                                           {&rwkv7, "blocks.{i}.att."}};
inline constexpr mixer_choice mixer_6_fla[] = {{&rwkv6, "layers.{i}.attn."}};
inline constexpr mixer_choice mixer_7_fla[] = {{&rwkv7_first, "layers.{i}.attn.", in_first_block},
                                               {&rwkv7, "layers.{i}.attn."}};
inline constexpr mixer_choice mixer_7_counted[] = {{&rwkv7_first, "rwkv{n}.", in_first_block}, {&rwkv7, "rwkv{n}."}};
inline constexpr component first_hf[] = {{"blocks.0.pre_ln.", layer_norm.e}};
inline constexpr component first_plain[] = {{"blocks.0.ln0.", layer_norm.e}};
inline constexpr component first_fla[] = {{"layers.0.pre_norm.", layer_norm.e}};
inline constexpr component feed_hf[] = {{"blocks.{i}.feed_forward.", mix_of_4.e}};
inline constexpr component feed_of_4[] = {{"blocks.{i}.ffn.", mix_of_4.e}};
inline constexpr component feed_of_6[] = {{"blocks.{i}.", mix_of_6.e}};
inline constexpr component feed_of_7[] = {{"blocks.{i}.", mix_of_7.e}};
inline constexpr component feed_of_6_fla[] = {{"layers.{i}.", mix_of_6.e}};
inline constexpr component feed_of_7_fla[] = {{"layers.{i}.", mix_of_7.e}};
inline constexpr component feed_counted[] = {{"", mix_of_7.e}};
inline constexpr std::string_view rescaled_hf[] = {"attention.output.weight", "feed_forward.value.weight"};
inline constexpr std::string_view rwkv_optional[] = {"bias"}, output_bias[] = {"output.bias"};
/// The first block has no use for a share of its own value.
inline constexpr std::string_view unused_in_first[] = {"blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2"};
/// The rest of the side branch that adds the constant.
inline constexpr std::string_view besides_counted[] = {"rwkv1.v0", "rwkv1.v1", "rwkv1.v2", "rosa", "ln1c.", "ln2c."};
inline constexpr requirement rwkv_fla_required[] = {
    {"attn", "null"}, {"norm_first", "true"}, {"hidden_act", "\"sqrelu\""}};

constexpr family rwkv(std::string_view name, std::string_view type, std::string_view marker,
                      std::span<const mixer_choice> mixers, std::span<const component> feed,
                      std::span<const source> sources, std::span<const setting> settings,
                      std::span<const axis_length> lengths = {}) {
  return {.name = name,
          .model_type = type,
          .marker = marker,
          .embeddings = "emb.weight",
          .first = first_plain,
          .norm = {"blocks.{i}.ln1.", layer_norm.e},
          .mixers = mixers,
          .feed = feed,
          .last = {"ln_out.", layer_norm.e},
          .head = "head.weight",
          .lengths = lengths,
          .sources = sources,
          .settings = settings,
          .optional = output_bias,
          .besides = unused_in_first};
}
constexpr family rwkv_of_fla(std::string_view name, std::string_view type, std::span<const mixer_choice> mixers,
                             std::span<const component> feed, std::span<const source> sources,
                             std::span<const setting> settings, std::span<const axis_length> lengths) {
  family f = rwkv(name, type, "model.embeddings.weight", mixers, feed, sources, settings, lengths);
  f.prefix = "model.";
  f.embeddings = "embeddings.weight";
  f.first = first_fla;
  f.norm.prefix = "layers.{i}.attn_norm.";
  f.last.prefix = "norm.";
  f.head = "lm_head.weight";
  f.optional = rwkv_optional;
  f.required = rwkv_fla_required;
  return f;
}
/// The markers of the versions, newest first: what rwkv.cpp tells them apart by.
constexpr std::string_view has_7 = "blocks.0.att.r_k", has_6 = "blocks.0.att.time_maa_x",
                           has_5 = "blocks.0.att.gate.weight", has_5_1 = "blocks.0.att.ln_x.weight",
                           has_4 = "blocks.0.att.time_first";
inline constexpr std::string_view cpp = "rwkv.cpp";

inline constexpr family rwkv_families[] = {
    {.name = "RWKV-4, transformers",
     .model_type = "rwkv",
     .prefix = "rwkv.",
     .embeddings = "embeddings.weight",
     .first = first_hf,
     .norm = {"blocks.{i}.ln1.", layer_norm.e},
     .mixers = mixer_4_hf,
     .feed = feed_hf,
     .last = {"ln_out.", layer_norm.e},
     .head = "head.weight",
     .sources = sources_of_4_hf,
     .settings = settings_of_4,
     .rescaled = rescaled_hf},
    rwkv_of_fla("RWKV-6, fla", "rwkv6", mixer_6_fla, feed_of_6_fla, sources_of_6_fla, settings_of_6_fla,
                lengths_of_6_fla),
    rwkv_of_fla("RWKV-7, fla", "rwkv7", mixer_7_fla, feed_of_7_fla, sources_of_7_fla, settings_of_7_fla, lengths_of_7),
    rwkv("RWKV-7, rwkv.cpp", cpp, has_7, mixer_7, feed_of_7, sources_of_7<as_is>, settings_of_7, lengths_of_7),
    rwkv("RWKV-6, rwkv.cpp", cpp, has_6, mixer_6, feed_of_6, sources_of_6<rows_as_applied, rows_as_applied, as_is>,
         settings_of_6, lengths_of_5),
    rwkv("RWKV-5.2, rwkv.cpp", cpp, has_5, mixer_5, feed_of_4, sources_of_5<each_entry<from_factor>>, settings_of_5_cpp,
         lengths_of_5),
    rwkv("RWKV-5.1, rwkv.cpp", cpp, has_5_1, mixer_5_1, feed_of_4,
         sources_of_5_1<of_head<from_factor>, of_head<as_stored>>, settings_of_5_cpp, lengths_of_5_1),
    rwkv("RWKV-4, rwkv.cpp", cpp, "", mixer_4, feed_of_4, sources_of_4<each_entry<from_rate>>, settings_of_4),
    rwkv("RWKV-7, BlinkDL", "", has_7, mixer_7, feed_of_7, sources_of_7<transposed>, settings_of_7, lengths_of_7),
    rwkv("RWKV-6, BlinkDL", "", has_6, mixer_6, feed_of_6,
         sources_of_6<columns_as_stored, columns_as_stored, transposed>, settings_of_6, lengths_of_5),
    rwkv("RWKV-5.2, BlinkDL", "", has_5, mixer_5, feed_of_4, sources_of_5<as_is>, settings_of_6, lengths_of_5),
    rwkv("RWKV-5.1, BlinkDL", "", has_5_1, mixer_5_1, feed_of_4,
         sources_of_5_1<of_head<as_stored>, of_head<as_exponential>>, settings_of_6, lengths_of_5_1),
    rwkv("RWKV-4, BlinkDL", "", has_4, mixer_4, feed_of_4, sources_of_4<as_is>, settings_of_4),
    {.name = "RWKV-7, blocks counted from 1",
     .model_type = "rwkv7",
     .marker = "rwkv1.r_k",
     .embeddings = "e.weight",
     .norm = {"ln{n}a.", layer_norm.e},
     .mixers = mixer_7_counted,
     .feed = feed_counted,
     .last = {"lno.", layer_norm.e},
     .head = "o.weight",
     .head_bias = "o.bias",
     .lengths = lengths_of_7,
     .sources = sources_of_7_counted,
     .settings = settings_of_7,
     .optional = output_bias,
     .besides = besides_counted}};

}  // namespace alphaform::models

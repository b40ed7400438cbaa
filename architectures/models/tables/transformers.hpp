// Llama, RecurrentGemma and xLSTM as transformers stores them.
#pragma once
#include <alphaform/architectures/attention.hpp>
#include <alphaform/architectures/griffin.hpp>
#include <alphaform/architectures/mlstm.hpp>
#include <alphaform/architectures/models/tables/blocks.hpp>

namespace alphaform::models {

inline constexpr auto softmax = as_architecture<architectures::softmax_attention>();
inline constexpr auto griffin = as_architecture<architectures::griffin>();
inline constexpr auto mlstm = as_architecture<architectures::mlstm>();

// ---- softmax attention with grouped queries

inline std::size_t query_heads(const facts& f) { return f.count("num_attention_heads"); }
inline std::size_t key_heads(const facts& f) { return f.count("num_key_value_heads", query_heads(f)); }
inline std::size_t queries_per_key(const facts& f) {
  if (query_heads(f) % key_heads(f) != 0)
    throw user_error("config.json: num_attention_heads is no multiple of num_key_value_heads");
  return query_heads(f) / key_heads(f);
}
inline std::size_t head_width(const facts& f) {
  const std::size_t rows = f.length("q_proj.weight", 0), heads = query_heads(f);
  if (rows % heads != 0 || rows < 2 * heads)
    throw user_error("config.json: the rows of q_proj.weight do not divide into num_attention_heads heads");
  return rows / heads;
}
inline double theta(const facts& f) { return f.number("rope_parameters.rope_theta|rope_theta", 10000); }
/// Frequencies of rotary positions, which older files hold and the configuration says too.
inline constexpr std::string_view rotary_buffer[] = {".inv_freq"};
constexpr requirement plain_rope{"rope_parameters.rope_type", "\"default\""},
    unscaled_rope{"rope_scaling.rope_type|rope_scaling.type", "\"default\""};

inline constexpr axis_length llama_lengths[] = {{group, key_heads}, {head, queries_per_key}};
inline constexpr setting llama_settings[] = {
    {"epsilon", [](const facts& f) { return scalar(f.number("rms_norm_eps", 1e-6)); }},
    {"frequencies", [](const facts& f) { return frequencies(head_width(f), head_width(f), theta(f)); }}};
inline constexpr std::string_view llama_optional[] = {"bias", "window"};
inline constexpr requirement llama_required[] = {
    plain_rope,
    unscaled_rope,
    {"rope_parameters.partial_rotary_factor|partial_rotary_factor", "1.0|1"},
    {"hidden_act", "\"silu\"|\"swish\""}};
inline constexpr agreement llama_stated[] = {
    {"head_dim", head_width},
    {"attention_bias", [](const facts& f) { return std::size_t{f.holds("q_proj.bias")}; }},
    {"mlp_bias", [](const facts& f) {
       return std::size_t{f.holds("/layers." + std::to_string(f.block()) + ".mlp.gate_proj.bias")};
     }}};
inline constexpr std::string_view qkv_biases[] = {"q_proj.bias", "k_proj.bias", "v_proj.bias"};
inline constexpr company qkv_biases_together[] = {qkv_biases};
inline constexpr mixer_choice llama_mixer[] = {{&softmax, "layers.{i}.self_attn."}};
inline constexpr component llama_feed[] = {
    {"layers.{i}.",
     gated_unit<"post_attention_layernorm.weight", "mlp.gate_proj.weight", "mlp.gate_proj.bias", "mlp.up_proj.weight",
                "mlp.up_proj.bias", "mlp.down_proj.weight", "mlp.down_proj.bias">(with_silu)
         .e}};

// ---- RecurrentGemma: norms store w - 1; the rotated entries of a head come first, their halves paired

inline bool is_recurrent(const facts& f) { return f.holds("rg_lru.recurrent_param"); }
inline std::size_t rotated(const facts& f) {
  const double share = f.number("rope_parameters.partial_rotary_factor|partial_rotary_factor", 0.5);
  if (!(share >= 0 && share <= 1)) throw user_error("config.json: partial_rotary_factor should be from 0 to 1");
  return static_cast<std::size_t>(static_cast<double>(head_width(f)) * share);
}
/// Rows of every head in another order, so that entries j and j + d/2 are the pairs.
inline array paired(array a, const facts& f) {
  const std::size_t d = head_width(f), half = rotated(f) / 2, rest = (d - 2 * half) / 2;
  if (a.shape.empty() || a.shape[0] % d != 0 || d % 2 != 0)
    throw user_error("a projection does not divide into heads with an even number of entries");
  const std::size_t width = a.numbers.size() / a.shape[0];
  array b = a;
  for (std::size_t row = 0; row < a.shape[0]; ++row) {
    const std::size_t second = row % d / (d / 2), j = row % (d / 2);
    const std::size_t from = j < half ? second * half + j : 2 * half + second * rest + j - half;
    for (std::size_t k = 0; k < width; ++k) b.numbers[row * width + k] = a.numbers[(row / d * d + from) * width + k];
  }
  return b;
}
inline double rounded_to_bf16(double v) {
  auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(v));
  bits += 0x7fffu + (bits >> 16 & 1u);
  return static_cast<double>(std::bit_cast<float>(bits & 0xffff0000u));
}
inline std::size_t gemma_groups(const facts& f) { return is_recurrent(f) ? 1 : key_heads(f); }
inline std::size_t gemma_heads(const facts& f) {
  return is_recurrent(f) ? f.length("rg_lru.input_gate_weight", 0) : queries_per_key(f);
}
inline constexpr axis_length gemma_lengths[] = {{group, gemma_groups}, {head, gemma_heads}};
inline constexpr source gemma_sources[] = {
    {"weight", "weight", plus_one},
    {"channel_pre_norm.weight", "channel_pre_norm.weight", plus_one},
    {"rg_lru.input_gate_weight", "rg_lru.input_gate_weight", each_transposed},
    {"rg_lru.recurrent_gate_weight", "rg_lru.recurrent_gate_weight", each_transposed},
    {"q_proj.weight", "q_proj.weight", paired},
    {"q_proj.bias", "q_proj.bias", paired},
    {"k_proj.weight", "k_proj.weight", paired},
    {"k_proj.bias", "k_proj.bias", paired}};
constexpr double uncapped = 1e15;  // as a soft cap: no float32 number is changed by it
inline constexpr setting gemma_settings[] = {
    {"epsilon", [](const facts& f) { return scalar(f.number("rms_norm_eps", 1e-6)); }},
    {"scale",
     [](const facts& f) {
       return scalar(rounded_to_bf16(std::sqrt(static_cast<double>(f.length("/embed_tokens.weight", 1)))));
     }},
    {"frequencies", [](const facts& f) { return frequencies(head_width(f), rotated(f), theta(f)); }},
    {"window", [](const facts& f) { return scalar(static_cast<double>(f.count("attention_window_size", 2048))); }},
    {"logit_cap", [](const facts& f) { return scalar(f.number("logits_soft_cap", uncapped)); }}};
inline constexpr requirement gemma_required[] = {
    plain_rope, unscaled_rope, {"hidden_activation|hidden_act", "\"gelu_pytorch_tanh\""}};
inline constexpr agreement gemma_stated[] = {
    {"head_dim", [](const facts& f) { return is_recurrent(f) ? f.count("head_dim") : head_width(f); }}};
inline constexpr std::string_view gemma_optional[] = {"q_proj.bias", "k_proj.bias", "v_proj.bias"};
inline constexpr mixer_choice gemma_mixers[] = {{&griffin, "layers.{i}.temporal_block.", is_recurrent},
                                                {&softmax, "layers.{i}.temporal_block."}};
inline constexpr component gemma_first[] = {{"", (param<"scale", no_axes> * x).e}};
inline constexpr component gemma_feed[] = {
    {"layers.{i}.", gated_unit<"channel_pre_norm.weight", "mlp_block.gate_proj.weight", "mlp_block.gate_proj.bias",
                               "mlp_block.up_proj.weight", "mlp_block.up_proj.bias", "mlp_block.down_proj.weight",
                               "mlp_block.down_proj.bias">(with_gelu)
                        .e}};

// ---- xLSTM

inline constexpr axis_length xlstm_lengths[] = {{head, [](const facts& f) { return f.count("num_heads"); }}};
inline constexpr setting xlstm_settings[] = {
    {"epsilon", [](const facts& f) { return scalar(f.number("norm_eps", 1e-6)); }},
    {"eps", [](const facts& f) { return scalar(f.number("norm_eps", 1e-6)); }},
    {"cell_eps", [](const facts& f) { return scalar(f.number("eps", 1e-6)); }},
    {"gate_cap", [](const facts& f) { return scalar(f.number("gate_soft_cap", uncapped)); }},
    {"logit_cap", [](const facts& f) { return scalar(f.number("output_logit_soft_cap", uncapped)); }}};
inline constexpr requirement xlstm_required[] = {{"weight_mode", "\"single\""}, {"add_out_norm", "true"}};
inline constexpr std::string_view xlstm_optional[] = {
    "q.bias",       "k.bias",        "v.bias", "ogate_preact.bias", "out_proj.bias", "proj_up_gate.bias",
    "proj_up.bias", "proj_down.bias"};
inline constexpr mixer_choice xlstm_mixer[] = {{&mlstm, "blocks.{i}.mlstm_layer."}};
inline constexpr component xlstm_feed[] = {
    {"blocks.{i}.",
     gated_unit<"norm_ffn.weight", "ffn.proj_up_gate.weight", "ffn.proj_up_gate.bias", "ffn.proj_up.weight",
                "ffn.proj_up.bias", "ffn.proj_down.weight", "ffn.proj_down.bias">(with_silu)
         .e}};
inline constexpr auto capped = soft_cap<"logit_cap">(x);

inline constexpr family transformers_families[] = {{.name = "Llama, transformers",
                                                    .model_type = "llama",
                                                    .prefix = "model.",
                                                    .embeddings = "embed_tokens.weight",
                                                    .norm = {"layers.{i}.input_layernorm.", rms_norm.e},
                                                    .mixers = llama_mixer,
                                                    .feed = llama_feed,
                                                    .last = {"norm.", rms_norm.e},
                                                    .head = "lm_head.weight",
                                                    .lengths = llama_lengths,
                                                    .settings = llama_settings,
                                                    .optional = llama_optional,
                                                    .required = llama_required,
                                                    .stated = llama_stated,
                                                    .together = qkv_biases_together,
                                                    .besides = rotary_buffer},
                                                   {.name = "RecurrentGemma (Griffin), transformers",
                                                    .model_type = "recurrent_gemma",
                                                    .prefix = "model.",
                                                    .embeddings = "embed_tokens.weight",
                                                    .first = gemma_first,
                                                    .norm = {"layers.{i}.temporal_pre_norm.", rms_norm.e},
                                                    .mixers = gemma_mixers,
                                                    .feed = gemma_feed,
                                                    .last = {"final_norm.", rms_norm.e},
                                                    .head = "lm_head.weight",
                                                    .logits = {"", capped.e},
                                                    .lengths = gemma_lengths,
                                                    .sources = gemma_sources,
                                                    .settings = gemma_settings,
                                                    .optional = gemma_optional,
                                                    .required = gemma_required,
                                                    .stated = gemma_stated,
                                                    .besides = rotary_buffer},
                                                   {.name = "xLSTM, transformers",
                                                    .model_type = "xlstm",
                                                    .prefix = "backbone.",
                                                    .embeddings = "embeddings.weight",
                                                    .norm = {"blocks.{i}.norm_mlstm.", rms_norm.e},
                                                    .mixers = xlstm_mixer,
                                                    .feed = xlstm_feed,
                                                    .last = {"out_norm.", rms_norm.e},
                                                    .head = "lm_head.weight",
                                                    .logits = {"", capped.e},
                                                    .lengths = xlstm_lengths,
                                                    .settings = xlstm_settings,
                                                    .optional = xlstm_optional,
                                                    .required = xlstm_required}};

}  // namespace alphaform::models

// Models of flash-linear-attention: one block around many mixers.
#pragma once
#include <alphaform/architectures/delta_net.hpp>
#include <alphaform/architectures/gated_delta_net.hpp>
#include <alphaform/architectures/gla.hpp>
#include <alphaform/architectures/hgrn.hpp>
#include <alphaform/architectures/hgrn2.hpp>
#include <alphaform/architectures/kda.hpp>
#include <alphaform/architectures/linear_attention.hpp>
#include <alphaform/architectures/models/tables/blocks.hpp>
#include <alphaform/architectures/retnet.hpp>
#include <limits>

namespace alphaform::models {

template <class Declaration>
inline constexpr auto mixer_of = as_architecture<Declaration>();

// ---- what the tables below share

inline std::size_t fla_heads(const facts& f) { return f.count("num_heads"); }
inline std::size_t fla_key_heads(const facts& f) { return f.count("num_kv_heads", fla_heads(f)); }
inline std::size_t fla_shared(const facts& f) {
  if (fla_heads(f) % fla_key_heads(f) != 0) throw user_error("config.json: num_heads is no multiple of num_kv_heads");
  return fla_heads(f) / fla_key_heads(f);
}
inline std::size_t value_heads(const facts& f) {
  const std::size_t all = f.count("num_v_heads", fla_heads(f));
  if (all % fla_heads(f) != 0) throw user_error("config.json: num_v_heads is no multiple of num_heads");
  return all / fla_heads(f);
}
inline constexpr axis_length grouped_lengths[] = {{group, fla_key_heads}, {head, fla_shared}};
inline constexpr axis_length head_lengths[] = {{head, fla_heads}};
inline constexpr axis_length delta_lengths[] = {{group, fla_heads}, {head, value_heads}};

inline array fla_eps(const facts& f) { return scalar(f.number("norm_eps|rms_norm_eps", 1e-6)); }
constexpr setting block_eps{"epsilon", fla_eps}, head_eps{"eps", fla_eps};
inline constexpr source fla_sources[] = {{"g_norm.weight", "g_norm.weight|g_norm_swish_gate.weight"}};
inline constexpr std::string_view fla_optional[] = {"_proj.bias", "conv1d.bias", "layer1.bias", "conv1d.weight"};
inline constexpr std::string_view fla_besides[] = {"lower_bounds", ".inv_freq"};

inline constexpr std::string_view qkv_filters[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"},
                                  qkv_filter_biases[] = {"q_conv1d.bias", "k_conv1d.bias", "v_conv1d.bias"},
                                  hgrn_filters[] = {"i_conv1d.weight", "f_conv1d.weight"},
                                  hgrn2_filters[] = {"i_conv1d.weight", "f_conv1d.weight", "q_conv1d.weight"};
inline constexpr company qkv_together[] = {qkv_filters, qkv_filter_biases}, hgrn_together[] = {hgrn_filters},
                         hgrn2_together[] = {hgrn2_filters};
inline bool has_filter(const facts& f) { return f.holds("q_conv1d.weight"); }
inline bool has_gate(const facts& f) { return f.holds("g_proj.weight"); }
template <bool Filter, bool Gate>
bool is(const facts& f) {
  return has_filter(f) == Filter && has_gate(f) == Gate;
}

// Configurations of RetNet may ask for filters that its blocks do not have: there the tensors decide.
inline constexpr agreement retnet_stated[] = {
    {"use_output_gate", [](const facts& f) { return std::size_t{has_gate(f)}; }}};
inline constexpr agreement gla_stated[] = {
    retnet_stated[0], {"use_short_conv", [](const facts& f) { return std::size_t{has_filter(f)}; }}};
inline constexpr agreement hgrn_stated[] = {
    {"use_short_conv", [](const facts& f) { return std::size_t{f.holds("i_conv1d.weight")}; }}};
inline std::size_t hgrn2_heads(const facts& f) {
  if (f.has("num_heads")) return fla_heads(f);
  return std::max<std::size_t>(f.length("f_proj.weight", 0) / f.count("expand_ratio", 128), 1);
}
inline constexpr agreement hgrn2_stated[] = {
    hgrn_stated[0], {"expand_ratio", [](const facts& f) { return f.length("f_proj.weight", 0) / hgrn2_heads(f); }}};
inline constexpr agreement delta_stated[] = {
    gla_stated[1],
    {"use_gate", [](const facts& f) { return std::size_t{has_gate(f)}; }},
    {"head_dim", [](const facts& f) { return f.length("q_proj.weight", 0) / fla_heads(f); }}};

/// The lower bound of HGRN's decay: cumulated softmax over the layers, less that of the first.
inline array lower_bound(const facts& f) {
  const std::size_t rows = f.length("f_proj.weight", 0);
  if (!f.flag("use_lower_bound", true)) return {{rows}, std::vector<double>(rows, 0)};
  const array a = f.tensor("/lower_bounds");
  if (a.shape.size() != 2 || a.shape[0] <= f.block())
    throw user_error("'lower_bounds' should have the shape [layers, width]");
  const std::size_t layers = a.shape[0], width = a.shape[1];
  array bound{{width}, std::vector<double>(width, 0)};
  for (std::size_t c = 0; c < width; ++c) {
    const auto at = [&](std::size_t l) { return a.numbers[l * width + c]; };
    double most = at(0), sum = 0;
    for (std::size_t l = 0; l < layers; ++l) most = std::max(most, at(l));
    for (std::size_t l = 0; l < layers; ++l) sum += std::exp(at(l) - most);
    for (std::size_t l = 1; l <= f.block(); ++l) bound.numbers[c] += std::exp(at(l) - most) / sum;
  }
  return bound;
}

// ---- RetNet, GLA, linear attention

inline constexpr setting retnet_settings[] = {
    block_eps,
    head_eps,
    {"gamma",
     [](const facts& f) {
       if (fla_heads(f) > f.length("q_proj.weight", 0))
         throw user_error("config.json: num_heads is larger than q_proj.weight has rows");
       array g{{fla_heads(f)}, {}};
       for (std::size_t h = 0; h < g.shape[0]; ++h) g.numbers.push_back(1 - std::exp2(-5.0 - static_cast<double>(h)));
       return g;
     }},
    {"frequencies", [](const facts& f) {
       const std::size_t d = f.length("q_proj.weight", 0) / fla_heads(f);
       return frequencies(d, d, 10000);
     }}};
inline constexpr mixer_choice retnet_mixers[] = {
    {&mixer_of<architectures::retnet>, "layers.{i}.attn.", is<false, true>},
    {&mixer_of<architectures::retnet_with<true, true>>, "layers.{i}.attn.", is<true, true>},
    {&mixer_of<architectures::retnet_with<false, false>>, "layers.{i}.attn.", is<false, false>},
    {&mixer_of<architectures::retnet_with<true, false>>, "layers.{i}.attn.", is<true, false>}};
inline constexpr requirement fla_required[] = {
    {"attn", "null"},        {"attnres_block_size", "null"}, {"hidden_act", "\"swish\"|\"silu\""},
    {"feature_map", "null"}, {"elementwise_affine", "true"}, {"use_gv", "false"},
    {"use_gk", "true"}};

inline constexpr setting gla_settings[] = {
    block_eps,
    head_eps,
    {"gate_scale", [](const facts& f) { return scalar(1 / f.number("gate_logit_normalizer", 16)); }},
    {"log_decay_min",
     [](const facts& f) { return scalar(f.number("clamp_min", -std::numeric_limits<double>::infinity())); }}};
inline constexpr mixer_choice gla_mixers[] = {
    {&mixer_of<architectures::gla>, "layers.{i}.attn.", is<false, true>},
    {&mixer_of<architectures::gla_with<true, true>>, "layers.{i}.attn.", is<true, true>},
    {&mixer_of<architectures::gla_with<false, false>>, "layers.{i}.attn.", is<false, false>},
    {&mixer_of<architectures::gla_with<true, false>>, "layers.{i}.attn.", is<true, false>}};

using architectures::feature_map;
template <feature_map Map>
bool maps_by(const facts& f) {
  constexpr std::array names{"elementwise_product", "t2r", "elu", "relu", "identity"};
  return f.text("feature_map", "elementwise_product") == names[static_cast<std::size_t>(Map)];
}
template <feature_map Map>
constexpr mixer_choice linear_by{&mixer_of<architectures::linear_attention_with<Map>>, "layers.{i}.attn.",
                                 maps_by<Map>};
inline constexpr mixer_choice linear_mixers[] = {linear_by<feature_map::elementwise_product>,
                                                 linear_by<feature_map::t2r>, linear_by<feature_map::elu>,
                                                 linear_by<feature_map::relu>, linear_by<feature_map::identity>};
/// A map that q and k share is stored once, under either name.
inline constexpr source linear_sources[] = {
    {"feature_map_q.layer1.weight",
     "feature_map_q.layer1.weight|feature_map_q.layer.weight|feature_map_k.layer1.weight|feature_map_k.layer.weight"},
    {"feature_map_q.layer1.bias",
     "feature_map_q.layer1.bias|feature_map_q.layer.bias|feature_map_k.layer1.bias|feature_map_k.layer.bias"},
    {"feature_map_q.layer2.weight", "feature_map_q.layer2.weight|feature_map_k.layer2.weight"},
    {"feature_map_q.layer2.bias", "feature_map_q.layer2.bias|feature_map_k.layer2.bias"},
    {"feature_map_k.layer1.weight",
     "feature_map_k.layer1.weight|feature_map_k.layer.weight|feature_map_q.layer1.weight|feature_map_q.layer.weight"},
    {"feature_map_k.layer1.bias",
     "feature_map_k.layer1.bias|feature_map_k.layer.bias|feature_map_q.layer1.bias|feature_map_q.layer.bias"},
    {"feature_map_k.layer2.weight", "feature_map_k.layer2.weight|feature_map_q.layer2.weight"},
    {"feature_map_k.layer2.bias", "feature_map_k.layer2.bias|feature_map_q.layer2.bias"}};
inline constexpr setting norm_settings[] = {block_eps, head_eps};
inline constexpr requirement linear_required[] = {
    {"attn", "null"},
    {"attnres_block_size", "null"},
    {"hidden_act", "\"swish\"|\"silu\""},
    {"feature_map", "\"elementwise_product\"|\"t2r\"|\"elu\"|\"relu\"|\"identity\""},
    {"norm_feature_map", "false"},
    {"norm_q", "false"},
    {"norm_k", "false"},
    {"elementwise_affine", "true"}};

// ---- HGRN, HGRN2

inline constexpr setting hgrn_settings[] = {block_eps, head_eps, {"lower_bound", lower_bound}};
inline constexpr setting hgrn2_settings[] = {
    block_eps, {"eps", [](const facts&) { return scalar(1e-5); }}, {"lower_bound", lower_bound}};
inline constexpr mixer_choice hgrn_mixer[] = {{&mixer_of<architectures::hgrn>, "layers.{i}.attn."}};
inline constexpr mixer_choice hgrn2_mixer[] = {{&mixer_of<architectures::hgrn2>, "layers.{i}.attn."}};
inline constexpr axis_length hgrn2_lengths[] = {{head, hgrn2_heads}};

// ---- delta rules

inline constexpr setting delta_settings[] = {
    block_eps,
    head_eps,
    {"l2_eps", [](const facts&) { return scalar(1e-6); }},
    {"l2_floor", zero},
    {"beta_max", [](const facts& f) { return scalar(f.flag("allow_neg_eigval", false) ? 2 : 1); }},
    {"lower_bound", [](const facts& f) { return scalar(f.number("lower_bound", 0)); }}};
inline constexpr requirement delta_required[] = {{"attn", "null"},
                                                 {"attnres_block_size", "null"},
                                                 {"hidden_act", "\"swish\"|\"silu\""},
                                                 {"qk_activation", "\"silu\""},
                                                 {"qk_norm", "\"l2\""},
                                                 {"use_beta", "true"},
                                                 {"use_output_norm", "true"}};
inline bool is_gated(const facts& f) { return has_gate(f); }
inline bool is_bounded(const facts& f) { return f.has("lower_bound"); }
inline constexpr mixer_choice delta_mixers[] = {
    {&mixer_of<architectures::delta_net_with<true>>, "layers.{i}.attn.", is_gated},
    {&mixer_of<architectures::delta_net>, "layers.{i}.attn."}};
inline constexpr mixer_choice gated_delta_mixers[] = {
    {&mixer_of<architectures::gated_delta_net>, "layers.{i}.attn.", is_gated},
    {&mixer_of<architectures::gated_delta_net_with<false>>, "layers.{i}.attn."}};
inline constexpr mixer_choice kda_mixers[] = {
    {&mixer_of<architectures::kda_with<true>>, "layers.{i}.attn.", is_bounded},
    {&mixer_of<architectures::kda>, "layers.{i}.attn."}};

inline constexpr component fla_feed[] = {
    {"layers.{i}.", gated_unit<"mlp_norm.weight", "mlp.gate_proj.weight", "mlp.gate_proj.bias", "mlp.up_proj.weight",
                               "mlp.up_proj.bias", "mlp.down_proj.weight", "mlp.down_proj.bias">(with_silu)
                        .e}};

constexpr family fla_family(std::string_view name, std::string_view type, std::span<const mixer_choice> mixers,
                            std::span<const axis_length> lengths, std::span<const setting> settings,
                            std::span<const requirement> required = fla_required,
                            std::span<const source> sources = fla_sources, std::span<const agreement> stated = {},
                            std::span<const company> together = qkv_together) {
  return {.name = name,
          .model_type = type,
          .prefix = "model.",
          .embeddings = "embeddings.weight",
          .norm = {"layers.{i}.attn_norm.", rms_norm.e},
          .mixers = mixers,
          .feed = fla_feed,
          .last = {"norm.", rms_norm.e},
          .head = "lm_head.weight",
          .lengths = lengths,
          .sources = sources,
          .settings = settings,
          .optional = fla_optional,
          .required = required,
          .stated = stated,
          .together = together,
          .besides = fla_besides};
}

inline constexpr family fla_families[] = {
    fla_family("RetNet, fla", "retnet", retnet_mixers, grouped_lengths, retnet_settings, fla_required, fla_sources,
               retnet_stated),
    fla_family("GLA, fla", "gla", gla_mixers, grouped_lengths, gla_settings, fla_required, fla_sources, gla_stated),
    fla_family("Linear attention, fla", "linear_attn", linear_mixers, grouped_lengths, norm_settings, linear_required,
               linear_sources),
    fla_family("HGRN, fla", "hgrn", hgrn_mixer, {}, hgrn_settings, fla_required, fla_sources, hgrn_stated,
               hgrn_together),
    fla_family("HGRN2, fla", "hgrn2", hgrn2_mixer, hgrn2_lengths, hgrn2_settings, fla_required, fla_sources,
               hgrn2_stated, hgrn2_together),
    fla_family("DeltaNet, fla", "delta_net", delta_mixers, delta_lengths, delta_settings, delta_required, fla_sources,
               delta_stated),
    fla_family("Gated DeltaNet, fla", "gated_deltanet", gated_delta_mixers, delta_lengths, delta_settings,
               delta_required, fla_sources, delta_stated),
    fla_family("KDA, fla", "kda", kda_mixers, delta_lengths, delta_settings, delta_required, fla_sources,
               delta_stated)};

}  // namespace alphaform::models

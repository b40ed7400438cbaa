// Mamba, Falcon-Mamba and Mamba-2 as transformers, flash-linear-attention and mamba_ssm store them.
#pragma once
#include <alphaform/architectures/mamba.hpp>
#include <alphaform/architectures/mamba2.hpp>
#include <alphaform/architectures/models/tables/blocks.hpp>
#include <limits>

namespace alphaform::models {

inline constexpr auto mamba = as_architecture<architectures::mamba>();
inline constexpr auto falcon_mamba = as_architecture<architectures::falcon_mamba>();
inline constexpr auto mamba2 = as_architecture<architectures::mamba2>();
inline constexpr auto mamba2_grouped = as_architecture<architectures::mamba2_grouped>();

inline constexpr std::string_view s6_in[] = {"in_proj.weight[x]", "in_proj.weight[z]"};
inline constexpr std::string_view s6_in_bias[] = {"in_proj.bias[x]", "in_proj.bias[z]"};
inline constexpr std::string_view s6_controls[] = {"x_proj.weight[dt]", "x_proj.weight[B]", "x_proj.weight[C]"};
inline constexpr split s6_splits[] = {
    {"in_proj.weight", s6_in}, {"in_proj.bias", s6_in_bias}, {"x_proj.weight", s6_controls}};
inline constexpr axis_length s6_lengths[] = {{chan, [](const facts& f) { return f.length("A_log", 0); }},
                                             {state, [](const facts& f) { return f.length("A_log", 1); }},
                                             {rank, [](const facts& f) { return f.length("dt_proj.weight", 1); }}};
inline constexpr std::string_view any_bias[] = {"conv1d.bias", "conv1d_b.bias", "out_proj.bias", "bias[x]",
                                                "bias[z]",     "bias[B]",       "bias[C]",       "bias[dt]"};
inline array mamba_eps(const facts& f) { return scalar(f.number("layer_norm_epsilon|norm_eps|norm_epsilon", 1e-5)); }
inline constexpr setting s6_settings[] = {
    {"epsilon", mamba_eps}, {"control_eps", [](const facts& f) { return scalar(f.number("mixer_rms_eps", 1e-6)); }}};
inline constexpr requirement s6_required[] = {
    {"hidden_act", "\"silu\"|\"swish\""}, {"rms_norm", "true"}, {"attn_layer_idx", "[]"}, {"d_intermediate", "0"}};

inline std::size_t filter_taps(const facts& f) { return f.length("conv1d.weight", -1); }
inline std::size_t holds_filter_bias(const facts& f) { return f.holds("conv1d.bias") ? 1 : 0; }
inline std::size_t holds_linear_bias(const facts& f) { return f.holds("in_proj.bias") ? 1 : 0; }
inline constexpr std::string_view linear_biases[] = {"in_proj.bias", "out_proj.bias"};
inline constexpr company linear_biases_together[] = {linear_biases};
inline constexpr agreement s6_stated[] = {
    {"state_size", [](const facts& f) { return f.length("A_log", 1); }},
    {"time_step_rank|dt_rank", [](const facts& f) { return f.length("dt_proj.weight", 1); }},
    {"conv_kernel", filter_taps},
    {"use_conv_bias", holds_filter_bias},
    {"use_bias", holds_linear_bias}};

// ---- Mamba-2: z | x | B | C | dt, of which x, B and C pass the filter

inline constexpr std::string_view ssd_in[] = {"in_proj.weight[z]", "in_proj.weight[x]", "in_proj.weight[B]",
                                              "in_proj.weight[C]", "in_proj.weight[dt]"};
inline constexpr std::string_view ssd_in_bias[] = {"in_proj.bias[z]", "in_proj.bias[x]", "in_proj.bias[B]",
                                                   "in_proj.bias[C]", "in_proj.bias[dt]"};
inline constexpr std::string_view ssd_filter[] = {"conv1d.weight[x]", "conv1d.weight[B]", "conv1d.weight[C]"};
inline constexpr std::string_view ssd_filter_bias[] = {"conv1d.bias[x]", "conv1d.bias[B]", "conv1d.bias[C]"};
inline constexpr split ssd_splits[] = {{"in_proj.weight", ssd_in},
                                       {"in_proj.bias", ssd_in_bias},
                                       {"conv1d.weight", ssd_filter},
                                       {"conv1d.bias", ssd_filter_bias}};
inline std::size_t ssd_groups(const facts& f) { return f.count("n_groups|ssm_cfg.ngroups", 1); }
inline std::size_t ssd_heads(const facts& f) {
  const std::size_t heads = f.length("A_log", 0), groups = ssd_groups(f);
  if (heads % groups != 0) throw user_error("config.json: the number of heads is no multiple of the number of groups");
  return heads / groups;
}
inline std::size_t ssd_channels(const facts& f) {
  return f.length("norm.weight", 0) / std::max<std::size_t>(f.length("A_log", 0), 1);
}
inline std::size_t ssd_states(const facts& f) {
  const std::size_t rows = f.length("conv1d.weight", 0), own = f.length("norm.weight", 0);
  if (rows <= own || (rows - own) % (2 * ssd_groups(f)) != 0)
    throw user_error("'conv1d.weight' should have as many rows as x, B and C have together");
  return (rows - own) / (2 * ssd_groups(f));
}
inline constexpr axis_length ssd_lengths[] = {
    {group, ssd_groups}, {head, ssd_heads}, {chan, ssd_channels}, {state, ssd_states}};
inline constexpr agreement ssd_stated[] = {{"num_heads", [](const facts& f) { return f.length("A_log", 0); }},
                                           {"head_dim", ssd_channels},
                                           {"state_size", ssd_states},
                                           {"conv_kernel", filter_taps},
                                           {"use_conv_bias", holds_filter_bias},
                                           {"use_bias", holds_linear_bias}};
constexpr std::string_view step_limit = "time_step_limit|dt_limit|ssm_cfg.dt_limit";
inline constexpr setting ssd_settings[] = {
    {"epsilon", mamba_eps},
    {"eps", [](const facts& f) { return scalar(f.number("layer_norm_epsilon|norm_eps", 1e-5)); }},
    {"dt_min", [](const facts& f) { return scalar(f.entry(step_limit, 0, 0)); }},
    {"dt_max", [](const facts& f) { return scalar(f.entry(step_limit, 1, std::numeric_limits<double>::infinity())); }}};
inline constexpr requirement ssd_required[] = {{"hidden_act", "\"silu\"|\"swish\""},
                                               {"ssm_cfg.activation", "\"silu\"|\"swish\""},
                                               {"rms_norm", "true"},
                                               {"rmsnorm|ssm_cfg.rmsnorm", "true"},
                                               {"norm_before_gate|ssm_cfg.norm_before_gate", "false"},
                                               {"D_has_hdim|ssm_cfg.D_has_hdim", "false"},
                                               {"attn_layer_idx", "[]"},
                                               {"d_intermediate", "0"}};
/// flash-linear-attention writes norm_eps where transformers writes layer_norm_epsilon, and norms every group by
/// itself.
inline bool is_of_fla(const facts& f) { return f.has("norm_eps"); }

inline constexpr mixer_choice mamba_mixer[] = {{&mamba, "layers.{i}.mixer."}};
inline constexpr mixer_choice falcon_mixer[] = {{&falcon_mamba, "layers.{i}.mixer."}};
inline constexpr mixer_choice mamba2_mixer[] = {{&mamba2_grouped, "layers.{i}.mixer.", is_of_fla},
                                                {&mamba2, "layers.{i}.mixer."}};
inline constexpr mixer_choice mamba2_grouped_mixer[] = {{&mamba2_grouped, "layers.{i}.mixer."}};

constexpr family mamba_like(std::string_view name, std::string_view type, std::span<const mixer_choice> mixers) {
  return {.name = name,
          .model_type = type,
          .prefix = "backbone.",
          .embeddings = "embeddings.weight",
          .norm = {"layers.{i}.norm.", rms_norm.e},
          .mixers = mixers,
          .last = {"norm_f.", rms_norm.e},
          .head = "lm_head.weight",
          .lengths = s6_lengths,
          .splits = s6_splits,
          .settings = s6_settings,
          .optional = any_bias,
          .required = s6_required,
          .stated = s6_stated,
          .together = linear_biases_together};
}
constexpr family with_ssd(family f) {
  f.lengths = ssd_lengths;
  f.splits = ssd_splits;
  f.settings = ssd_settings;
  f.required = ssd_required;
  f.stated = ssd_stated;
  return f;
}
/// mamba_ssm writes no model_type and calls the embeddings otherwise.
constexpr family as_mamba_ssm(family f, std::string_view marker) {
  f.marker = marker;
  f.embeddings = "embedding.weight";
  return f;
}

inline constexpr family mamba_families[] = {
    mamba_like("Mamba, transformers", "mamba", mamba_mixer),
    mamba_like("Falcon-Mamba, transformers", "falcon_mamba", falcon_mixer),
    with_ssd(mamba_like("Mamba-2, transformers", "mamba2", mamba2_mixer)),
    as_mamba_ssm(with_ssd(mamba_like("Mamba-2, mamba_ssm", "", mamba2_grouped_mixer)),
                 "backbone.layers.0.mixer.dt_bias"),
    as_mamba_ssm(mamba_like("Mamba, mamba_ssm", "", mamba_mixer), "backbone.embedding.weight")};

}  // namespace alphaform::models

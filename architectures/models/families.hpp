// The model families that can be loaded. A new naming of a known model is one more row.
#pragma once
#include <alphaform/architectures/models/family.hpp>
#include <cmath>

namespace alphaform::models {

inline constexpr auto x = input<"x">;
inline constexpr auto rms_norm = norm<"weight", "epsilon">(x);
inline constexpr auto layer_norm = norm<"weight", "bias", "epsilon">(x);

// ---- Mamba, Hugging Face naming

inline constexpr portion mamba_in[] = {{"in_proj.weight[x]", "A_log", 0}, {"in_proj.weight[z]", "A_log", 0}};
inline constexpr portion mamba_in_bias[] = {{"in_proj.bias[x]", "A_log", 0}, {"in_proj.bias[z]", "A_log", 0}};
inline constexpr portion mamba_x[] = {
    {"x_proj.weight[dt]", "dt_proj.weight", 1}, {"x_proj.weight[B]", "A_log", 1}, {"x_proj.weight[C]", "A_log", 1}};
inline constexpr split mamba_splits[] = {
    {"in_proj.weight", mamba_in}, {"in_proj.bias", mamba_in_bias}, {"x_proj.weight", mamba_x}};
inline constexpr requirement mamba_required[] = {{"hidden_act", "silu"}};
inline constexpr std::string_view mamba_optional[] = {"in_proj.bias[x]", "in_proj.bias[z]", "conv1d.bias",
                                                      "out_proj.bias"};

// ---- RWKV-4: channel mix sigma(W_r r) * W_v relu(W_k k)^2 with token-shifted r and k of the normalised stream

/// What the block adds to its stream h after the mixer; its norm ln2 is part of it.
inline constexpr auto channel_mix = [] {
  const auto n = norm<"ln2.weight", "ln2.bias", "epsilon">(x);
  const auto key = square(relu(linear<"key.weight">(shift<"time_mix_key">(n))));
  return sigmoid(linear<"receptance.weight">(shift<"time_mix_receptance">(n))) * linear<"value.weight">(key);
}();

inline constexpr component rwkv_first[] = {{"blocks.0.pre_ln.", layer_norm.e}};
inline constexpr component rwkv_feed[] = {{"blocks.{i}.feed_forward.", channel_mix.e}};
inline constexpr alias rwkv_aliases[] = {{"ln2.weight", "../ln2.weight"}, {"ln2.bias", "../ln2.bias"}};
inline constexpr std::string_view rwkv_rescaled[] = {"attention.output.weight", "feed_forward.value.weight"};

// ---- RWKV-4, rwkv.cpp naming: time_decay is stored as -exp(time_decay)

inline constexpr component rwkv_cpp_first[] = {{"blocks.0.ln0.", layer_norm.e}};
inline constexpr component rwkv_cpp_feed[] = {{"blocks.{i}.ffn.", channel_mix.e}};
inline constexpr alias rwkv_cpp_aliases[] = {{"ln2.weight", "../ln2.weight"},
                                             {"ln2.bias", "../ln2.bias"},
                                             {"time_mix_key", "time_mix_k"},
                                             {"time_mix_value", "time_mix_v"},
                                             {"time_mix_receptance", "time_mix_r"},
                                             {"time_decay", "time_decay", [](double stored) { return std::log(-stored); }}};

inline constexpr family families[] = {
    {.model_type = "mamba",
     .mixer = "mamba",
     .prefix = "backbone.",
     .embeddings = "embeddings.weight",
     .first = {},
     .norm = {"layers.{i}.norm.", rms_norm.e},
     .mixer_prefix = "layers.{i}.mixer.",
     .feed = {},
     .last = {"norm_f.", rms_norm.e},
     .head = "lm_head.weight",
     .epsilon_key = "layer_norm_epsilon",
     .epsilon = 1e-5,
     .splits = mamba_splits,
     .aliases = {},
     .optional = mamba_optional,
     .rescaled = {},
     .required = mamba_required,
     .unlike = {}},
    {.model_type = "rwkv",
     .mixer = "rwkv4",
     .prefix = "rwkv.",
     .embeddings = "embeddings.weight",
     .first = rwkv_first,
     .norm = {"blocks.{i}.ln1.", layer_norm.e},
     .mixer_prefix = "blocks.{i}.attention.",
     .feed = rwkv_feed,
     .last = {"ln_out.", layer_norm.e},
     .head = "head.weight",
     .epsilon_key = "layer_norm_epsilon",
     .epsilon = 1e-5,
     .splits = {},
     .aliases = rwkv_aliases,
     .optional = {},
     .rescaled = rwkv_rescaled,
     .required = {},
     .unlike = {}},
    {.model_type = "rwkv.cpp",
     .mixer = "rwkv4",
     .prefix = "",
     .embeddings = "emb.weight",
     .first = rwkv_cpp_first,
     .norm = {"blocks.{i}.ln1.", layer_norm.e},
     .mixer_prefix = "blocks.{i}.att.",
     .feed = rwkv_cpp_feed,
     .last = {"ln_out.", layer_norm.e},
     .head = "head.weight",
     .epsilon_key = "",
     .epsilon = 1e-5,
     .splits = {},
     .aliases = rwkv_cpp_aliases,
     .optional = {},
     .rescaled = {},
     .required = {},
     .unlike = {"blocks.0.att.ln_x.weight", "it is RWKV-5 or later; version 4 can be loaded"}},
};

}  // namespace alphaform::models

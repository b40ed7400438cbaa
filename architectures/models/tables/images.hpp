// Mamba on images: Vim, and a classifier that reads one pixel a step.
#pragma once
#include <alphaform/architectures/models/tables/mamba.hpp>
#include <alphaform/architectures/vim.hpp>

namespace alphaform::models {

inline constexpr auto vim = as_architecture<architectures::vim>();
inline constexpr std::string_view vim_controls[] = {"x_proj_b.weight[dt]", "x_proj_b.weight[B]", "x_proj_b.weight[C]"};
inline constexpr split vim_splits[] = {{"in_proj.weight", s6_in},
                                       {"in_proj.bias", s6_in_bias},
                                       {"x_proj.weight", s6_controls},
                                       {"x_proj_b.weight", vim_controls}};
inline constexpr setting vim_settings[] = {
    {"epsilon", [](const facts& f) { return scalar(f.number("norm_epsilon", 1e-5)); }},
    {"share", [](const facts& f) { return scalar(f.flag("if_divide_out", false) ? 0.5 : 1); }}};
inline constexpr requirement vim_required[] = {{"bimamba_type", "\"v2\""},  {"rms_norm", "true"},
                                               {"if_rope", "false"},        {"if_rope_residual", "false"},
                                               {"if_cls_token", "true"},    {"use_double_cls_token", "false"},
                                               {"if_abs_pos_embed", "true"}};
inline constexpr mixer_choice vim_mixer[] = {{&vim, "layers.{i}.mixer."}};
inline constexpr mixer_choice pixel_mixer[] = {{&mamba, "layers.{i}."}};

inline constexpr family image_families[] = {
    {.name = "Vim, hustvl",
     .model_type = "vim",
     .image = {"patch_embed.proj.weight", "patch_embed.proj.bias", "cls_token", "pos_embed"},
     .norm = {"layers.{i}.norm.", rms_norm.e},
     .mixers = vim_mixer,
     .last = {"norm_f.", rms_norm.e},
     .head = "head.weight",
     .head_bias = "head.bias",
     .classifies = true,
     .lengths = s6_lengths,
     .splits = vim_splits,
     .settings = vim_settings,
     .optional = any_bias,
     .required = vim_required},
    {.name = "Mamba, a pixel a step",
     .model_type = "mamba",
     .marker = "input_proj.weight",
     .image = {"input_proj.weight", "input_proj.bias"},
     .mixers = pixel_mixer,
     .residual = false,
     .last = {"norm.", layer_norm.e},
     .head = "classifier.weight",
     .head_bias = "classifier.bias",
     .classifies = true,
     .lengths = s6_lengths,
     .splits = s6_splits,
     .settings = s6_settings,
     .optional = any_bias}};

}  // namespace alphaform::models

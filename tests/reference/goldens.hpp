// The golden models: one of every architecture that a widely used implementation has, with what that implementation
// computed (Hugging Face transformers 5.17 and flash-linear-attention 0.5.2, both in float32).
#pragma once
#include <filesystem>

namespace alphaform::test {

inline const std::filesystem::path golden_folder = ALPHAFORM_SOURCE_DIR "/models/golden";
inline constexpr const char* goldens[] = {
    "mamba", "falcon_mamba", "mamba2",           "griffin",   "rwkv4",     "rwkv6",           "rwkv7", "retnet", "hgrn",
    "hgrn2", "gla",          "linear_attention", "attention", "delta_net", "gated_delta_net", "kda",   "mlstm"};

}  // namespace alphaform::test

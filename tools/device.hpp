// What --device and --products say: where the subcommands compute.
#pragma once
#include <alphaform/backends/kernels.hpp>
#include <string_view>

namespace alphaform::tools {

/// @param name  "cpu" or "cuda"
/// @param products  "float32" or "bfloat16". @throws user_error where there is no such device, or none that has these
void use_device(std::string_view name, std::string_view products);
const kernels<float>& device();

}  // namespace alphaform::tools

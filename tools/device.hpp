// What --device says: where the subcommands compute.
#pragma once
#include <alphaform/backends/kernels.hpp>
#include <string_view>

namespace alphaform::tools {

/// @param name  "cpu" or "cuda". @throws user_error where there is no such device
void use_device(std::string_view name);
const kernels<float>& device();

}  // namespace alphaform::tools

// Writer of the safetensors format (github.com/huggingface/safetensors, README "Format"): any tensors, in one file.
#pragma once
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace alphaform {

/// Takes the next bytes of a file.
using byte_sink = std::function<void(std::span<const std::byte>)>;

/// Writes the tensors with the widest elements first and then by name, so that every tensor lies aligned to its
/// elements. Bytes are written as they are stored; quantised types, which the format does not have, become f32.
/// @param metadata what the header says as __metadata__, texts only.
/// @throws user_error before the first byte is written if two tensors have one name, or if a name or text cannot stand
/// in the header; internal_error if a tensor's bytes do not fit its shape.
void write_safetensors(std::span<const stored_tensor> tensors, const std::map<std::string, std::string>& metadata,
                       const byte_sink& sink);

}  // namespace alphaform

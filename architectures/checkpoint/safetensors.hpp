// Reader of the safetensors format (github.com/huggingface/safetensors, README "Format"): 8 bytes of header length, a
// JSON header, then the tensors' bytes without holes or overlaps. The input is untrusted and everything is checked
// before use.
#pragma once
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace alphaform {

/// The tensors of a safetensors image in memory, whose bytes must outlive them.
/// @param source the file's name as it appears in messages. @throws user_error if any part of the header is invalid.
std::vector<stored_tensor> parse_safetensors(std::span<const std::byte> image, std::string_view source);

/// Maps and checks a .safetensors file. @throws user_error, runtime_error as mapped_file::open and parse_safetensors.
tensor_file read_safetensors(const std::filesystem::path& path);

/// Opens the shards of a model.safetensors.index.json, which must lie beside it; each lists only the tensors that the
/// index assigns to it. @throws user_error if the index is malformed, a shard is missing, or it lacks a tensor of the
/// index.
std::vector<tensor_file> read_safetensors_index(const std::filesystem::path& path);

}  // namespace alphaform

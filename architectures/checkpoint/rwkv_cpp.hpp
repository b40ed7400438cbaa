// Reader of rwkv.cpp model files (github.com/RWKV/rwkv.cpp, docs/FILE_FORMAT.md), versions 100 and 101: FP32, FP16
// and, in version 101, Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0. Only the container: names and values are as the file has them.
// The input is untrusted.
#pragma once
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace alphaform {

/// True if the image starts with the magic number of rwkv.cpp files.
bool is_rwkv_cpp(std::span<const std::byte> image);

/// The six numbers at the start of the file.
struct rwkv_cpp_header {
  std::int32_t magic, version, n_vocab, n_embed, n_layer, data_type;
};

/// @param source the file's name as it appears in messages. @throws user_error if the header is invalid or its data
/// type is not supported.
rwkv_cpp_header parse_rwkv_cpp_header(std::span<const std::byte> image, std::string_view source);

/// The tensors of an image whose bytes must outlive them, shapes in row-major order (the file has them reversed).
/// @throws user_error if the header or any tensor is invalid, truncated, repeated or of a type that is not supported.
std::vector<stored_tensor> parse_rwkv_cpp(std::span<const std::byte> image, std::string_view source);

/// Maps and checks a file; its header becomes {"model_type": "rwkv.cpp", "n_vocab", "n_embed", "n_layer", "data_type"}.
/// @throws user_error, runtime_error as mapped_file::open and parse_rwkv_cpp.
tensor_file read_rwkv_cpp(const std::filesystem::path& path);

}  // namespace alphaform

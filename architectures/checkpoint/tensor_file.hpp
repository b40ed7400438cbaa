// A named tensor as a file stores it, and its conversion to numbers. The bytes stay in the file's mapping, in any
// alignment, little-endian and row-major.
#pragma once
#include <alphaform/architectures/checkpoint/mapped_file.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// Element types. boolean, f8_e4m3 and f8_e5m2 can be listed but not converted. q4_0 ... q8_0 are the quantised types
/// of ggml (quantised.hpp).
enum class dtype : unsigned char {
  f32,
  f16,
  bf16,
  f64,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  f8_e4m3,
  f8_e5m2,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0
};

/// How a type groups its elements: so many neighbours of a row are stored in so many bytes.
struct stored_block {
  std::size_t elements, bytes;
};

/// The block of a type: of one element, or of 32 for the quantised types.
stored_block block_of(dtype type);

/// Bytes of one element of a type that is not quantised. @throws internal_error for a quantised type.
std::size_t bytes_of(dtype type);

/// Bytes of a tensor of that type and shape (row-major); none if that overflows, an axis is negative or the last axis
/// is not a whole number of blocks.
std::optional<std::uint64_t> stored_size(dtype type, std::span<const std::int64_t> shape);

/// "f32", "bf16", ...
std::string_view name_of(dtype type);

/// One tensor; shape is row-major (slowest axis first), bytes.size() is stored_size(type, shape).
struct stored_tensor {
  std::string name;
  dtype type;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // inside memory that the checkpoint keeps alive
};

/// The product of the shape.
std::size_t element_count(const stored_tensor& tensor);

/// One opened file: its tensors in the order of the file, and what its header says beside them (null if nothing).
struct tensor_file {
  mapped_file file;
  std::string format;
  std::vector<stored_tensor> tensors;
  nlohmann::json header;
  std::shared_ptr<const void> owner = nullptr;  // keeps bytes outside the mapping alive, if there are any
};

/// The numbers of a tensor in row-major order. T is float or double (for f32, f16, bf16, f64 and the quantised types;
/// f64 to float rounds, everything else is exact: quantised numbers are floats) or std::int64_t (for i64, i32, i16, i8,
/// u8).
/// @throws user_error if the tensor's type has no such conversion.
template <class T>
std::vector<T> values(const stored_tensor& tensor);

extern template std::vector<float> values(const stored_tensor&);
extern template std::vector<double> values(const stored_tensor&);
extern template std::vector<std::int64_t> values(const stored_tensor&);

}  // namespace alphaform

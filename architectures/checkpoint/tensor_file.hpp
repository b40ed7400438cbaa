// A named tensor as a file stores it, and its conversion to numbers. The bytes stay in the file's mapping, in any
// alignment, little-endian and row-major.
#pragma once
#include <alphaform/architectures/checkpoint/mapped_file.hpp>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// Element types. boolean, f8_e4m3 and f8_e5m2 can be listed but not converted.
enum class dtype : unsigned char { f32, f16, bf16, f64, i64, i32, i16, i8, u8, boolean, f8_e4m3, f8_e5m2 };

/// Bytes of one element.
std::size_t bytes_of(dtype type);

/// "f32", "bf16", ...
std::string_view name_of(dtype type);

/// One tensor; shape is row-major (slowest axis first), bytes.size() is the product of the shape times bytes_of(type).
struct stored_tensor {
  std::string name;
  dtype type;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // inside a mapping that the checkpoint keeps alive
};

/// One opened file: its tensors in the order of the file, and what its header says beside them (null if nothing).
struct tensor_file {
  mapped_file file;
  std::string format;
  std::vector<stored_tensor> tensors;
  nlohmann::json header;
};

/// The numbers of a tensor in row-major order. T is float or double (for f32, f16, bf16, f64; f16 and bf16 are exact,
/// f64 to float rounds) or std::int64_t (for i64, i32, i16, i8, u8).
/// @throws user_error if the tensor's type has no such conversion.
template <class T>
std::vector<T> values(const stored_tensor& tensor);

extern template std::vector<float> values(const stored_tensor&);
extern template std::vector<double> values(const stored_tensor&);
extern template std::vector<std::int64_t> values(const stored_tensor&);

}  // namespace alphaform

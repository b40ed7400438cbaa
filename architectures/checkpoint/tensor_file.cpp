// Sizes of stored tensors, and the conversion of their elements to numbers.
#include <fmt/format.h>

#include <alphaform/architectures/checkpoint/half.hpp>
#include <alphaform/architectures/checkpoint/quantised.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <alphaform/error.hpp>
#include <array>
#include <bit>
#include <concepts>
#include <cstring>

namespace alphaform {
namespace {

static_assert(std::endian::native == std::endian::little,
              "stored tensors are little-endian and are read without swapping");

struct dtype_row {
  std::string_view name;
  stored_block block;
};

constexpr std::array<dtype_row, 17> dtypes{{{"f32", {1, 4}},
                                            {"f16", {1, 2}},
                                            {"bf16", {1, 2}},
                                            {"f64", {1, 8}},
                                            {"i64", {1, 8}},
                                            {"i32", {1, 4}},
                                            {"i16", {1, 2}},
                                            {"i8", {1, 1}},
                                            {"u8", {1, 1}},
                                            {"boolean", {1, 1}},
                                            {"f8_e4m3", {1, 1}},
                                            {"f8_e5m2", {1, 1}},
                                            {"q4_0", {quantised_length, 2 + 16}},
                                            {"q4_1", {quantised_length, 4 + 16}},
                                            {"q5_0", {quantised_length, 2 + 4 + 16}},
                                            {"q5_1", {quantised_length, 4 + 4 + 16}},
                                            {"q8_0", {quantised_length, 2 + 32}}}};

template <class T, class Stored, class Convert>
std::vector<T> read(std::span<const std::byte> bytes, Convert convert) {
  std::vector<T> result(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < result.size(); ++i) {
    Stored element;
    std::memcpy(&element, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    result[i] = static_cast<T>(convert(element));
  }
  return result;
}

template <class T, class Stored>
std::vector<T> read(std::span<const std::byte> bytes) {
  return read<T, Stored>(bytes, [](Stored element) { return element; });
}

template <class T>
std::vector<T> read_blocks(const stored_tensor& tensor) {
  const std::size_t stride = block_of(tensor.type).bytes;
  std::vector<T> result(tensor.bytes.size() / stride * quantised_length);
  std::array<float, quantised_length> numbers{};
  for (std::size_t i = 0; i < result.size() / quantised_length; ++i) {
    dequantise(tensor.bytes.data() + i * stride, tensor.type, numbers);
    for (std::size_t j = 0; j < quantised_length; ++j) result[i * quantised_length + j] = static_cast<T>(numbers[j]);
  }
  return result;
}

}  // namespace

stored_block block_of(dtype type) { return dtypes.at(static_cast<std::size_t>(type)).block; }

std::size_t bytes_of(dtype type) {
  const auto [elements, bytes] = block_of(type);
  if (elements != 1) {
    throw internal_error(fmt::format("an element of type {} has no bytes of its own: {} elements share {} bytes",
                                     name_of(type), elements, bytes));
  }
  return bytes;
}

std::optional<std::uint64_t> stored_size(dtype type, std::span<const std::int64_t> shape) {
  const auto [elements, bytes] = block_of(type);
  if (elements != 1 && (shape.empty() || static_cast<std::uint64_t>(shape.back()) % elements != 0)) return std::nullopt;
  std::uint64_t size = bytes;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const auto whole = static_cast<std::uint64_t>(shape[axis]);
    const std::uint64_t blocks = axis + 1 == shape.size() ? whole / elements : whole;
    if (shape[axis] < 0 || __builtin_mul_overflow(size, blocks, &size)) return std::nullopt;
  }
  return size;
}

std::size_t element_count(const stored_tensor& tensor) {
  const auto [elements, bytes] = block_of(tensor.type);
  return tensor.bytes.size() / bytes * elements;
}

std::string_view name_of(dtype type) { return dtypes.at(static_cast<std::size_t>(type)).name; }

template <class T>
std::vector<T> values(const stored_tensor& tensor) {
  if constexpr (std::floating_point<T>) {
    if (tensor.type == dtype::f32) return read<T, float>(tensor.bytes);
    if (tensor.type == dtype::f64) return read<T, double>(tensor.bytes);
    if (tensor.type == dtype::f16) return read<T, std::uint16_t>(tensor.bytes, from_f16);
    if (tensor.type == dtype::bf16) return read<T, std::uint16_t>(tensor.bytes, from_bf16);
    if (block_of(tensor.type).elements == quantised_length) return read_blocks<T>(tensor);
  } else {
    if (tensor.type == dtype::i64) return read<T, std::int64_t>(tensor.bytes);
    if (tensor.type == dtype::i32) return read<T, std::int32_t>(tensor.bytes);
    if (tensor.type == dtype::i16) return read<T, std::int16_t>(tensor.bytes);
    if (tensor.type == dtype::i8) return read<T, std::int8_t>(tensor.bytes);
    if (tensor.type == dtype::u8) return read<T, std::uint8_t>(tensor.bytes);
  }
  throw user_error(fmt::format(
      "cannot read the tensor {} as {}: it is stored as {}; {}", quote(tensor.name),
      std::floating_point<T> ? "floating-point numbers" : "whole numbers", name_of(tensor.type),
      std::floating_point<T> ? "f32, f16, bf16, f64 and q4_0 to q8_0 can be" : "i64, i32, i16, i8 and u8 can be"));
}

template std::vector<float> values(const stored_tensor&);
template std::vector<double> values(const stored_tensor&);
template std::vector<std::int64_t> values(const stored_tensor&);

}  // namespace alphaform

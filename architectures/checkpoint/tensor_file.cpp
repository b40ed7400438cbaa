// Conversion of stored elements to numbers. f16 is IEEE 754 binary16, bf16 the upper half of binary32: both are subsets
// of float.
#include <fmt/format.h>

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
  std::size_t bytes;
};

constexpr std::array<dtype_row, 12> dtypes{{{"f32", 4},
                                            {"f16", 2},
                                            {"bf16", 2},
                                            {"f64", 8},
                                            {"i64", 8},
                                            {"i32", 4},
                                            {"i16", 2},
                                            {"i8", 1},
                                            {"u8", 1},
                                            {"boolean", 1},
                                            {"f8_e4m3", 1},
                                            {"f8_e5m2", 1}}};

float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t wide = exponent == 31 ? 255U : exponent + 112U;  // infinity and NaN keep their fraction
  return std::bit_cast<float>(sign | (wide << 23U) | (fraction << 13U));
}

float from_bf16(std::uint16_t upper) { return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16U); }

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

}  // namespace

std::size_t bytes_of(dtype type) { return dtypes.at(static_cast<std::size_t>(type)).bytes; }

std::string_view name_of(dtype type) { return dtypes.at(static_cast<std::size_t>(type)).name; }

template <class T>
std::vector<T> values(const stored_tensor& tensor) {
  if constexpr (std::floating_point<T>) {
    if (tensor.type == dtype::f32) return read<T, float>(tensor.bytes);
    if (tensor.type == dtype::f64) return read<T, double>(tensor.bytes);
    if (tensor.type == dtype::f16) return read<T, std::uint16_t>(tensor.bytes, from_f16);
    if (tensor.type == dtype::bf16) return read<T, std::uint16_t>(tensor.bytes, from_bf16);
  } else {
    if (tensor.type == dtype::i64) return read<T, std::int64_t>(tensor.bytes);
    if (tensor.type == dtype::i32) return read<T, std::int32_t>(tensor.bytes);
    if (tensor.type == dtype::i16) return read<T, std::int16_t>(tensor.bytes);
    if (tensor.type == dtype::i8) return read<T, std::int8_t>(tensor.bytes);
    if (tensor.type == dtype::u8) return read<T, std::uint8_t>(tensor.bytes);
  }
  throw user_error(
      fmt::format("cannot read the tensor {} as {}: it is stored as {}; {}", quote(tensor.name),
                  std::floating_point<T> ? "floating-point numbers" : "whole numbers", name_of(tensor.type),
                  std::floating_point<T> ? "f32, f16, bf16 and f64 can be" : "i64, i32, i16, i8 and u8 can be"));
}

template std::vector<float> values(const stored_tensor&);
template std::vector<double> values(const stored_tensor&);
template std::vector<std::int64_t> values(const stored_tensor&);

}  // namespace alphaform

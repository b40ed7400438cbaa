// The bytes of numbers as NumPy files and the report want them: little-endian, which is what our machines use in
// memory.
#pragma once
#include <bit>
#include <span>
#include <string_view>

namespace alphaform {

/// A view of the memory of `values`, no copy.
template <class Number>
std::string_view little_endian_bytes(std::span<const Number> values) {
  static_assert(std::endian::native == std::endian::little, "a big-endian machine has to swap bytes here");
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace alphaform

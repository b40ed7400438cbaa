// One array as the bytes of a NumPy .npy file, format version 1.0 (NumPy Enhancement Proposal 1, numpy.lib.format).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace alphaform {

/// @param values  the entries in C order (last index fastest)
/// @param shape   the extents; {} is a scalar; their product is values.size()
/// @return        the file's bytes, dtype '<f4'; the entries start at a multiple of 64 bytes
/// @throws user_error  if shape and number of values disagree
std::string npy_bytes(std::span<const float> values, std::span<const std::size_t> shape);

/// The same for dtype '<i8'.
std::string npy_bytes(std::span<const std::int64_t> values, std::span<const std::size_t> shape);

}  // namespace alphaform

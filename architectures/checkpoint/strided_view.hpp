// A tensor as a view of a storage: element (i0, i1, ...) lies at offset + i0 * stride[0] + i1 * stride[1] + ...,
// counted in elements, as in PyTorch. Its bytes in row-major order are a part of the storage or a copy.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace alphaform {

/// All numbers are at least 0.
struct strided_view final {
  std::int64_t offset;
  std::vector<std::int64_t> size, stride;  // slowest axis first
};

/// The bytes that the view's elements take in row-major order.
/// @param elements how many the storage has. @param what names the tensor in messages.
/// @throws user_error if size and stride differ in length, a number overflows or an element lies outside the storage.
std::uint64_t checked_size(const strided_view& view, std::uint64_t elements, std::size_t element_bytes,
                           std::string_view what);

/// The part of the storage that is the view in row-major order, or nothing if there is none. The view was checked.
std::optional<std::span<const std::byte>> contiguous_bytes(const strided_view& view, std::span<const std::byte> storage,
                                                           std::size_t element_bytes);

/// A copy of the elements in row-major order. The view was checked.
std::vector<std::byte> row_major_copy(const strided_view& view, std::span<const std::byte> storage,
                                      std::size_t element_bytes);

}  // namespace alphaform

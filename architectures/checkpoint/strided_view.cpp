// Views of storages: the checks, and the copy that walks the axes like an odometer.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/strided_view.hpp>
#include <alphaform/error.hpp>
#include <cstring>

namespace alphaform {
namespace {

bool is_empty(const strided_view& view) { return std::find(view.size.begin(), view.size.end(), 0) != view.size.end(); }

/// The number of elements of a checked view.
std::size_t count(const strided_view& view) {
  std::size_t product = 1;
  for (const std::int64_t axis : view.size) product *= static_cast<std::size_t>(axis);
  return product;
}

template <std::size_t Bytes>
void copy_line(std::byte* to, const std::byte* from, std::size_t length, std::size_t stride) {
  for (std::size_t i = 0; i < length; ++i) std::memcpy(to + i * Bytes, from + i * stride * Bytes, Bytes);
}

void copy_line(std::byte* to, const std::byte* from, std::size_t length, std::size_t stride, std::size_t bytes) {
  if (bytes == 1) copy_line<1>(to, from, length, stride);
  if (bytes == 2) copy_line<2>(to, from, length, stride);
  if (bytes == 4) copy_line<4>(to, from, length, stride);
  if (bytes == 8) copy_line<8>(to, from, length, stride);
}

}  // namespace

std::uint64_t checked_size(const strided_view& view, std::uint64_t elements, std::size_t element_bytes,
                           std::string_view what) {
  const auto fail = [&](std::string_view why) {
    throw user_error(
        fmt::format("cannot read {}: with the size [{}], the stride [{}] and the offset {} {}; the file is "
                    "damaged",
                    what, fmt::join(view.size, ", "), fmt::join(view.stride, ", "), view.offset, why));
  };
  if (view.size.size() != view.stride.size()) fail("it needs as many strides as sizes");
  if (is_empty(view)) return 0;
  std::uint64_t bytes = element_bytes, last = static_cast<std::uint64_t>(view.offset);
  for (std::size_t axis = 0; axis < view.size.size(); ++axis) {
    const auto size = static_cast<std::uint64_t>(view.size[axis]),
               stride = static_cast<std::uint64_t>(view.stride[axis]);
    std::uint64_t way = 0;
    if (__builtin_mul_overflow(bytes, size, &bytes) || __builtin_mul_overflow(size - 1, stride, &way) ||
        __builtin_add_overflow(last, way, &last)) {
      fail("it overflows the number of bytes");
    }
  }
  if (last >= elements) fail(fmt::format("it leaves its storage of {} elements", elements));
  return bytes;
}

std::optional<std::span<const std::byte>> contiguous_bytes(const strided_view& view, std::span<const std::byte> storage,
                                                           std::size_t element_bytes) {
  if (is_empty(view)) return storage.first(0);
  std::int64_t expected = 1;
  for (std::size_t axis = view.size.size(); axis-- > 0;) {
    if (view.size[axis] != 1 && view.stride[axis] != expected) return std::nullopt;
    expected *= view.size[axis];
  }
  return storage.subspan(static_cast<std::size_t>(view.offset) * element_bytes, count(view) * element_bytes);
}

std::vector<std::byte> row_major_copy(const strided_view& view, std::span<const std::byte> storage,
                                      std::size_t element_bytes) {
  if (is_empty(view)) return {};
  std::vector<std::byte> copy(count(view) * element_bytes);
  const std::size_t axes = view.size.size();
  const auto length = axes == 0 ? 1 : static_cast<std::size_t>(view.size[axes - 1]);  // of the fastest axis
  const auto stride = axes == 0 ? 1 : static_cast<std::size_t>(view.stride[axes - 1]);
  std::vector<std::int64_t> index(axes, 0);
  auto from = static_cast<std::size_t>(view.offset);
  for (std::size_t done = 0; done < copy.size(); done += length * element_bytes) {
    copy_line(copy.data() + done, storage.data() + from * element_bytes, length, stride, element_bytes);
    for (std::size_t axis = axes; axis-- > 1;) {  // the next line: count up the axes before the last
      const std::size_t a = axis - 1;
      from += static_cast<std::size_t>(view.stride[a]);
      if (++index[a] < view.size[a]) break;
      from -= static_cast<std::size_t>(view.size[a]) * static_cast<std::size_t>(view.stride[a]);
      index[a] = 0;
    }
  }
  return copy;
}

}  // namespace alphaform

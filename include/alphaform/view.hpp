// A strided view of numbers over the axes that streams have. An axis that a stream lacks has size 1 and stride 0, which
// is how a kernel reads the same number for all entries of another stream's axis.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace alphaform {

/// Memory order, slowest first. `column` numbers several right-hand sides of one operator.
enum class axis : std::uint8_t { token, group, head, chan, state, rank, tap, part, column };
inline constexpr std::size_t axis_count = 9;
inline constexpr std::array every_axis{axis::token, axis::group, axis::head, axis::chan,  axis::state,
                                       axis::rank,  axis::tap,   axis::part, axis::column};

using extents = std::array<std::size_t, axis_count>;

constexpr std::size_t at(const extents& e, axis a) { return e[static_cast<std::size_t>(a)]; }
constexpr std::size_t& at(extents& e, axis a) { return e[static_cast<std::size_t>(a)]; }
constexpr std::size_t volume(const extents& e) {
  std::size_t n = 1;
  for (const std::size_t k : e) n *= k;
  return n;
}
inline constexpr extents single{1, 1, 1, 1, 1, 1, 1, 1, 1};
/// The extents of two operands side by side, each of which may be repeated along an axis: there it has size 1.
constexpr extents together(extents a, const extents& b) {
  for (std::size_t k = 0; k < axis_count; ++k) a[k] = a[k] < b[k] ? b[k] : a[k];
  return a;
}

/// The extents of a stream [tokens, channels].
constexpr extents stream_extents(std::size_t tokens, std::size_t channels) {
  extents size = single;
  at(size, axis::token) = tokens;
  at(size, axis::chan) = channels;
  return size;
}

/// How numbers of a stream are stored: as what kernels compute in, or on a device rounded to bfloat16, the upper halves
/// of float32.
enum class number_format : std::uint8_t { whole, bfloat16 };
/// Bytes of one, where kernels compute in T.
template <class T>
constexpr std::size_t size_of(number_format f) {
  return f == number_format::whole ? sizeof(T) : 2;
}

template <class T>
struct view final {
  T* data = nullptr;  ///< of bfloat16 numbers the address, to be read by kernels that know them
  extents size = single;
  extents stride{};  ///< in elements; 0 where the size is 1
  number_format format = number_format::whole;

  constexpr std::size_t of(axis a) const { return at(size, a); }
  constexpr std::size_t step(axis a) const { return at(stride, a); }
  operator view<const T>() const requires(!std::is_const_v<T>) { return {data, size, stride, format}; }

  /// Where so many elements further on lie.
  constexpr T* from(std::size_t elements) const {
    if (data == nullptr) return nullptr;
    if (format == number_format::whole) return data + elements;
    using byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
    return reinterpret_cast<T*>(reinterpret_cast<byte*>(data) + size_of<T>(format) * elements);
  }

  /// The entries [begin, end) of one axis; an axis of size 1 is the same for every entry and stays as it is.
  constexpr view slice(axis a, std::size_t begin, std::size_t end) const {
    if (of(a) == 1) return *this;
    view v = *this;
    v.data = from(begin * step(a));
    at(v.size, a) = end - begin;
    if (end - begin == 1) at(v.stride, a) = 0;
    return v;
  }
};

/// Row-major strides of contiguous storage.
constexpr extents contiguous(const extents& size) {
  extents stride{};
  std::size_t n = 1;
  for (std::size_t k = axis_count; k-- > 0;) {
    stride[k] = size[k] == 1 ? 0 : n;
    n *= size[k];
  }
  return stride;
}

}  // namespace alphaform

// Magic, version, length of the header, a Python dictionary padded with blanks to a multiple of 64 bytes, then the
// entries.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/little_endian.hpp>
#include <alphaform/explain/output/npy.hpp>
#include <functional>
#include <numeric>
#include <string_view>

namespace alphaform {
namespace {

/// A Python tuple: (), (3,), (3, 4).
std::string tuple(std::span<const std::size_t> shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

std::string header(std::string_view dtype, std::span<const std::size_t> shape) {
  constexpr std::size_t preamble = 10;  // magic (6), version (2), length (2)
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", dtype, tuple(shape));
  const std::size_t total = (preamble + dictionary.size() + 1 + 63) / 64 * 64;
  dictionary.resize(total - preamble - 1, ' ');
  dictionary += '\n';
  const std::size_t length = dictionary.size();
  if (length > 0xffff)
    throw user_error(fmt::format("[npy] a shape of {} extents does not fit in a header", shape.size()));
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(length & 0xffU);
  bytes += static_cast<char>(length >> 8U);
  return bytes + dictionary;
}

template <class Number>
std::string array(std::string_view dtype, std::span<const Number> values, std::span<const std::size_t> shape) {
  const std::size_t expected = std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>{});
  if (values.size() != expected) {
    throw user_error(
        fmt::format("[npy] the shape {} asks for {} values but {} were given; pass the shape of the values",
                    tuple(shape), expected, values.size()));
  }
  std::string bytes = header(dtype, shape);
  bytes += little_endian_bytes(values);
  return bytes;
}

}  // namespace

std::string npy_bytes(std::span<const float> values, std::span<const std::size_t> shape) {
  return array("<f4", values, shape);
}

std::string npy_bytes(std::span<const std::int64_t> values, std::span<const std::size_t> shape) {
  return array("<i8", values, shape);
}

}  // namespace alphaform

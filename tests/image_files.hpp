// Image files as a test makes them: IDX (big-endian sizes, then bytes), gzip around them, and PNG.
#pragma once
#include <doctest/doctest.h>
#include <png.h>
#include <zlib.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace alphaform::test {

inline std::string idx_bytes(std::initializer_list<std::uint32_t> sizes, std::span<const std::uint8_t> samples) {
  std::string file("\0\0\x08", 3);
  file += static_cast<char>(sizes.size());
  for (const std::uint32_t n : sizes)
    for (const unsigned shift : {24U, 16U, 8U, 0U}) file += static_cast<char>(n >> shift & 255U);
  return file.append(samples.begin(), samples.end());
}

inline std::string gzip_bytes(const std::string& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// @param format  of the samples, such as PNG_FORMAT_GRAY
inline std::string png_bytes(png_uint_32 width, png_uint_32 height, png_uint_32 format,
                             std::span<const std::uint8_t> samples) {
  png_image picture{};
  picture.version = PNG_IMAGE_VERSION;
  picture.width = width;
  picture.height = height;
  picture.format = format;
  REQUIRE(samples.size() == PNG_IMAGE_SIZE(picture));
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(picture);
  std::string bytes(size, '\0');
  REQUIRE(png_image_write_to_memory(&picture, bytes.data(), &size, 0, samples.data(), 0, nullptr) != 0);
  bytes.resize(size);
  return bytes;
}

}  // namespace alphaform::test

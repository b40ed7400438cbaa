// Pictures of one size with 8 bits a sample, and their labels, as the files of MNIST and PNG files hold them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace alphaform {

struct image_shape final {
  std::size_t channels = 1, height = 0, width = 0;
  std::size_t samples() const { return channels * height * width; }
  friend bool operator==(const image_shape&, const image_shape&) = default;
};

struct images final {
  std::size_t count = 0;
  image_shape shape;
  std::vector<std::uint8_t> samples;  ///< [count, channels, height, width]
  std::span<const std::uint8_t> at(std::size_t index) const {
    return std::span(samples).subspan(index * shape.samples(), shape.samples());
  }
};

/// A file of images: IDX with three dimensions of unsigned bytes (MNIST's idx3-ubyte), plain or gzip, or one PNG
/// picture, grey or RGB with 8 bits or less; told by their first bytes.
/// @throws user_error when the file is none of these, is not whole, or holds no pixel or more than 2^28 of them
images read_images(const std::filesystem::path&);

/// A file of labels: IDX with one dimension of unsigned bytes (idx1-ubyte), plain or gzip.
std::vector<std::uint8_t> read_labels(const std::filesystem::path&);

/// The same from a file's bytes. @param name  as messages call it
images parse_images(std::span<const std::byte>, std::string_view name);
std::vector<std::uint8_t> parse_labels(std::span<const std::byte>, std::string_view name);

}  // namespace alphaform

// Files that a test makes itself: a folder that goes away with its scope, and the check that a refusal says why.
#pragma once
#include <doctest/doctest.h>

#include <alphaform/error.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace alphaform::test {

class temporary_folder {
 public:
  temporary_folder() {
    std::random_device device;
    do {
      path_ = std::filesystem::temp_directory_path() / ("alphaform-test-" + std::to_string(device()));
    } while (!std::filesystem::create_directory(path_));
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Writes a file and returns its path.
  std::filesystem::path write(std::string_view name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The action must throw user_error, and its message must contain all the words.
template <class Action>
void check_refused(Action action, std::initializer_list<std::string_view> words) {
  std::string message;
  try {
    action();
  } catch (const user_error& error) {
    message = error.what();
  }
  INFO("message: ", message);
  CHECK_FALSE(message.empty());
  for (const std::string_view word : words) {
    INFO("wanted: ", std::string(word));
    CHECK(message.find(word) != std::string::npos);
  }
}

/// Damages a copy of a valid image `count` times (flipped bytes, cut ends, repeated stretches; fixed seed). `open` must
/// return or throw user_error; anything else escapes and fails the test. Returns how many images were refused.
template <class Open>
int mutate(const std::string& valid, int count, Open open) {
  std::mt19937 random(20240516);
  const auto below = [&random](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  int refused = 0;
  for (int round = 0; round < count; ++round) {
    std::string image = valid;
    for (std::size_t flips = below(4); flips > 0; --flips) image[below(image.size())] = static_cast<char>(below(256));
    if (below(4) == 0) image.resize(below(image.size()));
    if (!image.empty() && below(4) == 0)
      image.insert(below(image.size()), image.substr(below(image.size()), below(16)));
    try {
      open(image);
    } catch (const user_error&) {
      ++refused;
    }
  }
  return refused;
}

inline std::span<const std::byte> bytes_of(const std::string& image) { return std::as_bytes(std::span(image)); }

}  // namespace alphaform::test

// A file mapped read-only into memory (POSIX mmap). Pages are read when they are touched, so a large checkpoint opens
// at once.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

namespace alphaform {

/// An immutable shared handle; the mapping ends with its last copy. The file must not be shortened while it is mapped.
class mapped_file {
 public:
  /// @throws user_error if the path is missing, not a regular file or not readable; runtime_error if the system cannot
  /// map it.
  static mapped_file open(const std::filesystem::path& path);

  std::span<const std::byte> bytes() const { return {start_.get(), size_}; }

 private:
  mapped_file(std::shared_ptr<const std::byte> start, std::size_t size) : start_(std::move(start)), size_(size) {}

  std::shared_ptr<const std::byte> start_;
  std::size_t size_ = 0;
};

}  // namespace alphaform

// The entries of a zip archive in memory, read by libzip. Only entries without compression are read, so that together
// they can never be larger than the archive. The input is untrusted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct zip;

namespace alphaform {

/// True if the image starts as a zip archive with at least one entry does.
bool is_zip(std::span<const std::byte> image);

class zip_archive final {
 public:
  /// @param image must outlive the archive. @param source the file's name as it appears in messages.
  /// @throws user_error if it is not a zip archive or its directory is damaged.
  zip_archive(std::span<const std::byte> image, std::string source);

  /// The names of all entries in the order of the directory.
  std::vector<std::string> names() const;

  /// The bytes of the entry, whose checksum is compared, or nothing if there is no such entry.
  /// @throws user_error if it is compressed, encrypted, truncated or damaged, or if the entries read so far overlap.
  std::optional<std::vector<std::byte>> read(const std::string& name);

 private:
  struct closed {
    void operator()(zip* archive) const;
  };

  std::string source_;
  std::uint64_t unread_;  // bytes of the image that no entry read so far can have taken
  std::unique_ptr<zip, closed> archive_;
};

}  // namespace alphaform

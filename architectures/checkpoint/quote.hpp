// Names out of untrusted files as they appear in messages: short, on one line, in single quotes.
#pragma once
#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace alphaform {

/// 'name', with control characters as \xNN and cut after about 120 bytes (never inside a UTF-8 sequence).
inline std::string quote(std::string_view name) {
  constexpr std::size_t longest = 120;
  std::string quoted = "'";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xC0U) == 0x80U;
    if (quoted.size() > longest && !continues) return quoted + "...'";
    quoted += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02X}", byte) : std::string(1, c);
  }
  return quoted + "'";
}

inline std::string quote_path(const std::filesystem::path& path) { return fmt::format("'{}'", path.string()); }

}  // namespace alphaform

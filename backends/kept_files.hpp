// What can be made again at any time, such as machine code of a program, kept from one run to the next in a folder of
// the user's own. Whatever goes wrong costs time and nothing else: what is damaged, or of others, counts as not there.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace alphaform {

/// $ALPHAFORM_CACHE, else `alphaform` in $XDG_CACHE_HOME or ~/.cache; none if ALPHAFORM_CACHE is set and empty, or
/// where there is no home. It is made where it is needed.
std::optional<std::filesystem::path> cache_folder();

/// What `keep` was given with the same text. Nothing from a folder that is another user's or that others may write to.
std::optional<std::string> kept(const std::filesystem::path& folder, std::string_view made_from) noexcept;
/// Files that were kept first go where all take more than `most` bytes.
void keep(const std::filesystem::path& folder, std::string_view made_from, std::string_view content,
          std::uintmax_t most = std::uintmax_t{256} << 20) noexcept;

}  // namespace alphaform

// Files that are either complete or absent: bytes go to a temporary file beside the target, reach the disk, and are
// renamed.
#pragma once
#include <filesystem>
#include <string_view>

namespace alphaform {

/// Writes `bytes` to `target`, replacing a file that is there. A reader sees the old file or the new one, never a part.
/// @throws runtime_error  if the file cannot be written; the target is then as it was and no temporary file remains
void write_file(const std::filesystem::path& target, std::string_view bytes);

/// Makes the folder `path` with its parents, if it is not there yet, and returns it.
/// @throws runtime_error  if it cannot be made, or if something else has this name
std::filesystem::path make_directory(const std::filesystem::path& path);

}  // namespace alphaform

// Files that are either complete or absent: bytes go to a temporary file beside the target, reach the disk, and are
// renamed.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace alphaform {

/// Writes `bytes` to `target`, replacing a file that is there. A reader sees the old file or the new one, never a part.
/// @throws runtime_error  if the file cannot be written; the target is then as it was and no temporary file remains
void write_file(const std::filesystem::path& target, std::string_view bytes);

/// Writes all the files, each a name and its bytes, into `folder`, which is made if need be. They are complete beside
/// their places before the first of them is put there.
/// @throws runtime_error  if one cannot be written; no new file and no new folder remains then
void write_files(const std::filesystem::path& folder, std::span<const std::pair<std::string, std::string>> files);

/// Makes the folder `path` with its parents, if it is not there yet, and returns it.
/// @throws runtime_error  if it cannot be made, or if something else has this name
std::filesystem::path make_directory(const std::filesystem::path& path);

}  // namespace alphaform

// Write to a temporary file, fsync, rename (POSIX): a rename within one folder is atomic.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

namespace alphaform {
namespace {

struct temporary_file {
  std::filesystem::path name;
  int descriptor = -1;  ///< negative: could not be made, errno says why
};

temporary_file make_temporary_beside(const std::filesystem::path& target) {
  temporary_file file;
  for (int attempt = 0; attempt < 100; ++attempt) {
    file.name = target;
    file.name.replace_filename(fmt::format(".{}.{}-{}.tmp", target.filename().string(), ::getpid(), attempt));
    file.descriptor = ::open(file.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.descriptor >= 0 || errno != EEXIST) break;
  }
  return file;
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(descriptor) == 0;
}

/// Returns 0, or the errno of the first step that failed.
int write_and_rename(const std::filesystem::path& target, std::string_view bytes) {
  const temporary_file file = make_temporary_beside(target);
  if (file.descriptor < 0) return errno;
  int error = write_all(file.descriptor, bytes) ? 0 : errno;
  if (::close(file.descriptor) != 0 && error == 0) error = errno;
  if (error == 0 && std::rename(file.name.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) ::unlink(file.name.c_str());
  return error;
}

}  // namespace

void write_file(const std::filesystem::path& target, std::string_view bytes) {
  if (const int error = write_and_rename(target, bytes); error != 0) {
    throw runtime_error("cannot write '" + target.string() + "': " + std::generic_category().message(error) +
                        "; choose a file in an existing folder that you may write to, on a disk with room for " +
                        std::to_string(bytes.size()) + " bytes");
  }
}

std::filesystem::path make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && !std::filesystem::is_directory(path)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) {
    throw runtime_error("cannot make the folder '" + path.string() + "': " + error.message() +
                        "; choose a name that is free, in a folder that you may write to");
  }
  return path;
}

void write_files(const std::filesystem::path& folder, std::span<const std::pair<std::string, std::string>> files) {
  namespace fs = std::filesystem;
  const bool is_new = !fs::exists(folder);
  make_directory(folder);
  const fs::path stage = folder / fmt::format(".{}.tmp", ::getpid());
  try {
    for (const auto& [name, bytes] : files)
      if (fs::is_directory(folder / name))
        throw runtime_error(fmt::format("cannot write '{}': a folder has this name; choose another output folder",
                                        (folder / name).string()));
    make_directory(stage);
    for (const auto& [name, bytes] : files) write_file(stage / name, bytes);
    for (const auto& [name, bytes] : files) fs::rename(stage / name, folder / name);
    fs::remove(stage);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(stage, ignored);
    if (is_new) fs::remove(folder, ignored);
    throw;
  }
}

}  // namespace alphaform

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <alphaform/backends/kept_files.hpp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <vector>

namespace alphaform {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view extension = ".kept";

/// Fowler, Noll and Vo's, of 64 bits: names files and tells damaged ones, and is no protection from anybody.
std::uint64_t digest(std::string_view bytes, std::uint64_t before = 0xcbf29ce484222325u) {
  for (const char c : bytes) before = (before ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return before;
}

/// In front of the text that something was made from, and of what was made.
struct header final {
  char what[16] = "alphaform kept";
  std::uint64_t made_from, content, check;
  header(std::string_view from, std::string_view made)
      : made_from(from.size()), content(made.size()), check(digest(made, digest(from))) {}
};

fs::path file_of(const fs::path& folder, std::string_view made_from) {
  return folder / fmt::format("{:016x}{}", digest(made_from), extension);
}

bool is_own(const fs::path& folder) {
  struct stat s {};
  return lstat(folder.c_str(), &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() &&
         (s.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool make(const fs::path& folder) {
  if (fs::create_directories(folder)) fs::permissions(folder, fs::perms::owner_all);
  return is_own(folder);
}

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes(in ? fs::file_size(file) : 0, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) bytes.clear();
  return bytes;
}

/// Those that were written first, until the rest takes half of `most`.
void make_room(const fs::path& folder, std::uintmax_t most) {
  struct entry final {
    fs::file_time_type written;
    std::uintmax_t size;
    fs::path path;
  };
  std::vector<entry> all;
  std::uintmax_t total = 0;
  for (const fs::directory_entry& e : fs::directory_iterator(folder))
    if (e.is_regular_file() && e.path().extension() == extension) {
      all.push_back({e.last_write_time(), e.file_size(), e.path()});
      total += all.back().size;
    }
  if (total <= most) return;
  std::sort(all.begin(), all.end(), [](const entry& a, const entry& b) { return a.written < b.written; });
  for (const entry& e : all) {
    if (total <= most / 2) return;
    fs::remove(e.path);
    total -= e.size;
  }
}

}  // namespace

std::optional<fs::path> cache_folder() {
  const auto set = [](const char* name) { return std::getenv(name); };
  if (const char* own = set("ALPHAFORM_CACHE")) return *own != '\0' ? std::optional<fs::path>(own) : std::nullopt;
  if (const char* xdg = set("XDG_CACHE_HOME"); xdg != nullptr && *xdg == '/') return fs::path(xdg) / "alphaform";
  if (const char* home = set("HOME"); home != nullptr && *home == '/') return fs::path(home) / ".cache" / "alphaform";
  return std::nullopt;
}

std::optional<std::string> kept(const fs::path& folder, std::string_view made_from) noexcept try {
  if (!is_own(folder)) return std::nullopt;
  const std::string bytes = content_of(file_of(folder, made_from));
  if (bytes.size() < sizeof(header) + made_from.size()) return std::nullopt;
  const std::string_view behind = std::string_view(bytes).substr(sizeof(header)),
                         content = behind.substr(made_from.size());
  const header expected(made_from, content);
  if (std::memcmp(bytes.data(), &expected, sizeof expected) != 0 || !behind.starts_with(made_from)) return std::nullopt;
  return std::string(content);
} catch (const std::exception&) {
  return std::nullopt;
}

void keep(const fs::path& folder, std::string_view made_from, std::string_view content, std::uintmax_t most) noexcept
    try {
  if (!make(folder)) return;
  const fs::path file = file_of(folder, made_from),
                 partial = folder / fmt::format("{}.{:08x}{}", file.stem().string(), std::random_device()(), extension);
  const header h(made_from, content);
  std::ofstream out(partial, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&h), sizeof h) << made_from << content;
  out.close();
  if (!out) {
    fs::remove(partial);
    return;
  }
  fs::rename(partial, file);
  make_room(folder, most);
} catch (const std::exception&) {  // it is made again the next time
}

}  // namespace alphaform

// libzip reads the directory and checks every entry's CRC-32; the sizes are checked here before memory is taken.
#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/zip_archive.hpp>
#include <alphaform/error.hpp>
#include <array>
#include <utility>

namespace alphaform {
namespace {

constexpr std::array<std::byte, 4> first_bytes{std::byte{'P'}, std::byte{'K'}, std::byte{3}, std::byte{4}};

[[noreturn]] void fail(std::string_view source, std::string_view why) {
  throw user_error(fmt::format("cannot read {}: {}", source, why));
}

using entry_file = std::unique_ptr<zip_file_t, decltype(&zip_fclose)>;

}  // namespace

bool is_zip(std::span<const std::byte> image) {
  return image.size() >= first_bytes.size() && std::equal(first_bytes.begin(), first_bytes.end(), image.begin());
}

void zip_archive::closed::operator()(zip* archive) const { zip_discard(archive); }

zip_archive::zip_archive(std::span<const std::byte> image, std::string source)
    : source_(std::move(source)), unread_(image.size()) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* bytes = zip_source_buffer_create(image.data(), image.size(), 0, &error);
  if (bytes != nullptr) archive_.reset(zip_open_from_source(bytes, ZIP_RDONLY, &error));
  if (archive_ == nullptr) {
    const std::string why = zip_error_strerror(&error);
    zip_source_free(bytes);
    zip_error_fini(&error);
    fail(source_, fmt::format("its zip directory is not valid ({}); the file is truncated or damaged", why));
  }
}

std::vector<std::string> zip_archive::names() const {
  std::vector<std::string> all;
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (name != nullptr) all.emplace_back(name);
  }
  return all;
}

std::optional<std::vector<std::byte>> zip_archive::read(const std::string& name) {
  const zip_int64_t found = zip_name_locate(archive_.get(), name.c_str(), ZIP_FL_ENC_RAW);
  if (found < 0 || name.find('\0') != std::string::npos) return std::nullopt;
  const std::string what = fmt::format("the entry {} of {}", quote(name), source_);
  const auto index = static_cast<zip_uint64_t>(found);
  zip_stat_t entry;
  constexpr zip_uint64_t needed =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(archive_.get(), index, 0, &entry) != 0 || (entry.valid & needed) != needed) {
    fail(what, "its description is not complete; the file is damaged");
  }
  if (entry.encryption_method != ZIP_EM_NONE) fail(what, "it is encrypted; torch.save does not encrypt");
  if (entry.comp_method != ZIP_CM_STORE || entry.size != entry.comp_size) {
    fail(what, "it is compressed, which torch.save never does; load the file and save it again with PyTorch");
  }
  if (entry.size > unread_) {
    fail(what, fmt::format("it says {} bytes but only {} of the file are left; the file is truncated or damaged",
                           entry.size, unread_));
  }
  unread_ -= entry.size;
  const entry_file file(zip_fopen_index(archive_.get(), index, 0), &zip_fclose);
  if (!file) fail(what, fmt::format("{}; the file is truncated or damaged", zip_strerror(archive_.get())));
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.size));
  std::byte beyond{};  // reading at the end is what makes libzip compare the checksum
  if (zip_fread(file.get(), bytes.data(), bytes.size()) != static_cast<zip_int64_t>(bytes.size()) ||
      zip_fread(file.get(), &beyond, 1) != 0) {
    fail(what, fmt::format("{}; the file is truncated or damaged", zip_file_strerror(file.get())));
  }
  return bytes;
}

}  // namespace alphaform

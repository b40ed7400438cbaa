// libzip writes into a growing buffer; archive and buffer are released whatever happens.
#include <fmt/format.h>
#include <zip.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/npz.hpp>
#include <memory>
#include <set>
#include <string_view>

namespace alphaform {
namespace {

using source = std::unique_ptr<zip_source_t, decltype(&zip_source_free)>;
using archive = std::unique_ptr<zip_t, decltype(&zip_discard)>;

[[noreturn]] void fail(std::string_view step, zip_error_t* error) {
  throw runtime_error(fmt::format("[npz] cannot {}: {}; the archive was not written", step, zip_error_strerror(error)));
}

void check_names(std::span<const named_array> arrays) {
  if (arrays.empty()) throw user_error("[npz] there is no array to write; give at least one");
  std::set<std::string_view> names;
  for (const named_array& a : arrays) {
    if (!names.insert(a.name).second) {
      throw user_error(fmt::format("[npz] two arrays are named '{}'; give each its own name", a.name));
    }
  }
}

/// @param array  has to live until the archive is closed
void add(zip_t* zip, const named_array& array) {
  constexpr zip_uint16_t first_of_january_1980 = 0x21;
  const std::string member = array.name + ".npy";
  zip_source_t* content = zip_source_buffer(zip, array.npy.data(), array.npy.size(), 0);
  const zip_int64_t node_index = content == nullptr ? -1 : zip_file_add(zip, member.c_str(), content, ZIP_FL_ENC_UTF_8);
  if (node_index < 0) {
    zip_source_free(content);
    fail("add '" + member + "'", zip_get_error(zip));
  }
  const auto entry = static_cast<zip_uint64_t>(node_index);
  constexpr zip_uint32_t fastest = 1;  // half of a causal map is zero; more effort gains little on the rest
  if (zip_set_file_compression(zip, entry, ZIP_CM_DEFLATE, fastest) != 0 ||
      zip_file_set_dostime(zip, entry, 0, first_of_january_1980, 0) != 0) {
    fail("describe '" + member + "'", zip_get_error(zip));
  }
}

std::string read_all(zip_source_t* buffer) {
  zip_stat_t found;
  if (zip_source_stat(buffer, &found) != 0 || zip_source_open(buffer) != 0) {
    fail("read the archive back", zip_source_error(buffer));
  }
  std::string bytes(found.size, '\0');
  const zip_int64_t read = zip_source_read(buffer, bytes.data(), bytes.size());
  zip_source_close(buffer);
  if (read != static_cast<zip_int64_t>(bytes.size())) fail("read the archive back", zip_source_error(buffer));
  return bytes;
}

}  // namespace

std::string npz_bytes(std::span<const named_array> arrays) {
  check_names(arrays);
  zip_error_t error;
  zip_error_init(&error);
  const source buffer(zip_source_buffer_create(nullptr, 0, 0, &error), &zip_source_free);
  if (!buffer) fail("make a buffer", &error);
  archive zip(zip_open_from_source(buffer.get(), ZIP_TRUNCATE, &error), &zip_discard);
  if (!zip) fail("open the buffer", &error);
  zip_source_keep(buffer.get());  // the archive owns one reference, `buffer` the other
  for (const named_array& array : arrays) add(zip.get(), array);
  if (zip_close(zip.get()) != 0) fail("compress the arrays", zip_get_error(zip.get()));
  zip.release();  // zip_close released it
  return read_all(buffer.get());
}

}  // namespace alphaform

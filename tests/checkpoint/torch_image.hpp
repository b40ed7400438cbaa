// Files as torch.save writes them, put together by hand: opcodes of a pickle (docs.python.org/3/library/pickletools)
// and a zip archive (PKWARE APPNOTE 6.3.3) whose headers a test may falsify.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alphaform::test {

/// The bytes of a number, little-endian.
template <class Number>
std::string raw(Number value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string joined(std::initializer_list<std::string> parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

// Values as opcodes that leave them on the stack.
inline std::string text(std::string_view s) { return "X" + raw(static_cast<std::uint32_t>(s.size())) + std::string(s); }
inline std::string number(std::int32_t n) { return "J" + raw(n); }
inline std::string tuple(std::initializer_list<std::string> items) { return "(" + joined(items) + "t"; }
inline std::string numbers(const std::vector<std::int32_t>& all) {
  std::string items;
  for (const std::int32_t n : all) items += number(n);
  return "(" + items + "t";
}
inline std::string dict(std::initializer_list<std::string> keys_and_values) {
  return "}(" + joined(keys_and_values) + "u";
}
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string call(const std::string& callee, std::initializer_list<std::string> arguments) {
  return callee + tuple(arguments) + "R";
}
inline std::string ordered_dict() { return global("collections", "OrderedDict") + ")R"; }
inline std::string storage(std::string_view type, std::string_view key, std::int32_t elements) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), number(elements)}) + "Q";
}
inline std::string tensor(const std::string& from, std::int32_t offset, const std::vector<std::int32_t>& size,
                          const std::vector<std::int32_t>& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {from, number(offset), numbers(size), numbers(stride), "\x89", ordered_dict()});
}
/// A float tensor of four elements in the storage "0".
inline std::string four() { return tensor(storage("FloatStorage", "0", 4), 0, {4}, {1}); }

inline std::string pickled_as(const std::string& value) { return "\x80\x02" + value + "."; }

struct zip_entry final {
  std::string name, content;
  std::uint16_t method = 0;
  std::optional<std::uint32_t> size = std::nullopt, crc = std::nullopt, offset = std::nullopt;  ///< if not the true one
};

inline std::uint32_t crc32_of(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ (crc % 2 != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

/// @param count how many entries the end of the directory says, if not the true number.
inline std::string zip_of(const std::vector<zip_entry>& entries, std::optional<std::uint16_t> count = std::nullopt) {
  std::string image, directory;
  for (const zip_entry& e : entries) {
    const auto size = e.size.value_or(static_cast<std::uint32_t>(e.content.size()));
    const std::string common = raw<std::uint16_t>(0) + raw(e.method) + raw<std::uint32_t>(0x210000) +
                               raw(e.crc ? *e.crc : crc32_of(e.content)) + raw(size) + raw(size) +
                               raw(static_cast<std::uint16_t>(e.name.size())) + raw<std::uint16_t>(0);
    directory += "PK\1\2" + raw<std::uint16_t>(20) + raw<std::uint16_t>(20) + common + raw<std::uint16_t>(0) +
                 raw<std::uint16_t>(0) + raw<std::uint16_t>(0) + raw<std::uint32_t>(0) +
                 raw(e.offset.value_or(static_cast<std::uint32_t>(image.size()))) + e.name;
    image += "PK\3\4" + raw<std::uint16_t>(20) + common + e.name + e.content;
  }
  const auto all = count.value_or(static_cast<std::uint16_t>(entries.size()));
  return image + directory + "PK\5\6" + raw<std::uint32_t>(0) + raw(all) + raw(all) +
         raw(static_cast<std::uint32_t>(directory.size())) + raw(static_cast<std::uint32_t>(image.size())) +
         raw<std::uint16_t>(0);
}

/// The entries of a file with this pickle and these storages, "0", "1", ...
inline std::vector<zip_entry> torch_entries(const std::string& pickle, const std::vector<std::string>& storages) {
  std::vector<zip_entry> entries{{"m/data.pkl", pickle}, {"m/byteorder", "little"}};
  for (std::size_t i = 0; i < storages.size(); ++i) entries.push_back({"m/data/" + std::to_string(i), storages[i]});
  entries.push_back({"m/version", "3\n"});
  return entries;
}
inline std::string torch_image(const std::string& pickle, const std::vector<std::string>& storages) {
  return zip_of(torch_entries(pickle, storages));
}

/// The numbers 0, 1, 2, ... as the bytes of a storage.
template <class Number>
std::string counting(int elements) {
  std::string bytes;
  for (int i = 0; i < elements; ++i) bytes += raw(static_cast<Number>(i));
  return bytes;
}

}  // namespace alphaform::test

// A strict decoder: overlong forms, surrogates and values beyond U+10FFFF are not characters.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/explain/output/utf8.hpp>
#include <array>

namespace alphaform {
namespace {

struct character {
  char32_t code = 0;
  std::size_t length = 1;
  bool valid = true;
};

struct range {
  char32_t first;
  char32_t last;
};

template <std::size_t Count>
bool contains(const std::array<range, Count>& ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(), [&](range r) { return r.first <= code && code <= r.last; });
}

/// @param bytes  not empty
character first_character(std::string_view bytes) {
  const auto byte = [&](std::size_t k) { return static_cast<char32_t>(static_cast<unsigned char>(bytes[k])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const character bad{lead, 1, false};
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return bad;
  char32_t code = lead & (0x7fU >> length);
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xc0U) != 0x80) return bad;
    code = code << 6U | (byte(k) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10ffff ? bad : character{code, length, true};
}

template <class Visit>
void for_each_character(std::string_view bytes, Visit&& visit) {
  while (!bytes.empty()) {
    const character next = first_character(bytes);
    visit(next, bytes.substr(0, next.length));
    bytes.remove_prefix(next.length);
  }
}

/// Characters that move the cursor, start escape sequences, break lines or reorder what follows.
bool is_control(char32_t code) {
  static constexpr std::array<range, 6> controls{
      {{0x00, 0x1f}, {0x7f, 0x9f}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}}};
  return contains(controls, code);
}

std::string escape(char32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  const auto number = static_cast<std::uint32_t>(code);
  return number < 0x80 ? fmt::format("\\x{:02x}", number) : fmt::format("\\u{{{:x}}}", number);
}

}  // namespace

std::string valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for_each_character(bytes, [&](character c, std::string_view encoded) { text += c.valid ? encoded : "\xef\xbf\xbd"; });
  return text;
}

std::string visible_text(std::string_view bytes) {
  std::string text;
  for_each_character(bytes, [&](character c, std::string_view encoded) {
    if (!c.valid) {
      text += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c.code));
    } else if (is_control(c.code)) {
      text += escape(c.code);
    } else {
      text += encoded;
    }
  });
  return text;
}

std::size_t terminal_width(std::string_view text) {
  static constexpr std::array<range, 6> narrow{
      {{0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xe0100, 0xe01ef}}};
  static constexpr std::array<range, 9> wide{{{0x1100, 0x115f},
                                              {0x2e80, 0xa4cf},
                                              {0xac00, 0xd7a3},
                                              {0xf900, 0xfaff},
                                              {0xfe30, 0xfe6f},
                                              {0xff01, 0xff60},
                                              {0xffe0, 0xffe6},
                                              {0x1f300, 0x1faff},
                                              {0x20000, 0x3fffd}}};
  std::size_t width = 0;
  for_each_character(text, [&](character c, std::string_view) {
    width += contains(narrow, c.code) ? 0U : contains(wide, c.code) ? 2U : 1U;
  });
  return width;
}

}  // namespace alphaform

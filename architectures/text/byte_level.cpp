// The byte-level alphabet and word pattern of GPT-2, the pattern by hand: each alternative is one run of a character
// class.
#include <algorithm>
#include <alphaform/architectures/text/byte_level.hpp>
#include <alphaform/architectures/text/unicode.hpp>
#include <alphaform/error.hpp>
#include <array>

namespace alphaform {
namespace {

/// Printable bytes stand for themselves; the other 68 take the characters from U+0100 on, in order.
constexpr std::array<char32_t, 256> alphabet = [] {
  std::array<char32_t, 256> letters{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    letters[byte] = printable ? byte : next++;
  }
  return letters;
}();

/// The inverse: for a character below U+0144 the byte it writes, or -1.
constexpr std::array<int, 0x144> bytes_of_letters = [] {
  std::array<int, 0x144> bytes{};
  bytes.fill(-1);
  for (std::size_t byte = 0; byte < 256; ++byte) bytes[alphabet[byte]] = static_cast<int>(byte);
  return bytes;
}();

enum class kind : unsigned char { letter, number, space, other };

kind kind_of(char32_t code) {
  if (is_letter(code)) return kind::letter;
  if (is_number(code)) return kind::number;
  return is_space(code) ? kind::space : kind::other;
}

using text = std::vector<character>;

std::size_t run_end(const text& all, std::size_t from) {
  const kind first = kind_of(all[from].code);
  const auto changes = [first](const character& c) { return kind_of(c.code) != first; };
  return static_cast<std::size_t>(std::find_if(all.begin() + static_cast<std::ptrdiff_t>(from), all.end(), changes) -
                                  all.begin());
}

/// The length of 's, 't, 're, 've, 'm, 'll or 'd at this place, or 0.
std::size_t contraction(const text& all, std::size_t at) {
  const auto code = [&](std::size_t i) { return i < all.size() ? all[i].code : U'\0'; };
  if (code(at) != U'\'') return 0;
  const char32_t first = code(at + 1);
  const char32_t second = code(at + 2);
  if (first == U's' || first == U't' || first == U'm' || first == U'd') return 2;
  const bool two =
      (first == U'r' && second == U'e') || (first == U'v' && second == U'e') || (first == U'l' && second == U'l');
  return two ? 3 : 0;
}

/// Where the word that starts at `at` ends.
std::size_t word_end(const text& all, std::size_t at) {
  if (const std::size_t length = contraction(all, at)) return at + length;
  const bool blank_before_word = all[at].code == U' ' && at + 1 < all.size() && !is_space(all[at + 1].code);
  if (blank_before_word) return run_end(all, at + 1);
  const std::size_t end = run_end(all, at);
  const bool blanks_before_word = is_space(all[at].code) && end < all.size() && end - at > 1;
  return blanks_before_word ? end - 1 : end;  // \s+(?!\S) leaves the last blank to the word after it
}

}  // namespace

std::optional<std::string> bytes_of_entry(std::string_view entry) {
  std::string bytes;
  try {
    for (const character c : characters(entry)) {
      const int byte = c.code < bytes_of_letters.size() ? bytes_of_letters[c.code] : -1;
      if (byte < 0) return std::nullopt;
      bytes += static_cast<char>(byte);
    }
  } catch (const user_error&) {
    return std::nullopt;
  }
  return bytes;
}

std::vector<std::string_view> gpt2_words(std::string_view utf8) {
  const text all = characters(utf8);
  const auto offset = [&](std::size_t i) { return i < all.size() ? all[i].start : utf8.size(); };
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = word_end(all, at);
    words.push_back(utf8.substr(offset(at), offset(end) - offset(at)));
    at = end;
  }
  return words;
}

}  // namespace alphaform

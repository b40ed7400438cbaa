// Token pieces are untrusted bytes: a token may end inside a character (byte-level vocabularies) or carry control
// characters. These functions make them well-formed for JSON and harmless for a terminal (Unicode 15, section 3.9,
// table 3-7).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace alphaform {

/// The text with every byte that is not part of a well-formed character replaced by U+FFFD.
std::string valid_utf8(std::string_view bytes);

/// The text on one line and safe to print: control characters, line separators and direction overrides become escapes
/// such as \n, \x1b or \u{202e}; bytes that are not UTF-8 become \xNN.
std::string visible_text(std::string_view bytes);

/// Columns that `text` takes on a terminal: two for wide East Asian characters and pictographs, none for combining
/// marks.
std::size_t terminal_width(std::string_view text);

}  // namespace alphaform

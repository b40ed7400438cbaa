// The byte-level alphabet and word pattern of GPT-2 (Radford et al. 2019; openai/gpt-2, src/encoder.py): vocabulary
// entries write each byte as one printable character, and text is cut into words before merging.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// The bytes that a vocabulary entry stands for, or nothing if it holds a character outside the alphabet or is not
/// UTF-8.
std::optional<std::string> bytes_of_entry(std::string_view entry);

/// Cuts a text after 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ ; the words cover the
/// text.
/// @throws user_error if the text is not valid UTF-8.
std::vector<std::string_view> gpt2_words(std::string_view utf8);

}  // namespace alphaform

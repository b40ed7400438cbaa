// Unicode text: checked UTF-8, the character classes of tokenizer patterns, and normalisation form C (all from ICU).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// One character of a UTF-8 text and where its bytes start.
struct character {
  char32_t code;
  std::size_t start;
};

/// The characters of a text. @throws user_error if it is not valid UTF-8 (surrogates and overlong forms included).
std::vector<character> characters(std::string_view utf8);

/// The UTF-8 bytes of a character.
std::string to_utf8(char32_t code);

bool is_letter(char32_t code);  // \p{L}
bool is_number(char32_t code);  // \p{N}
bool is_space(char32_t code);   // \s, the property White_Space
bool is_word(char32_t code);    // \w of UTS #18: alphabetic, mark, decimal number, connector, join control

/// Normalisation form C of a valid UTF-8 text.
std::string nfc(std::string_view utf8);

/// The bytes as valid UTF-8: bytes that are not part of a valid sequence become \xNN.
std::string visible(std::string_view bytes);

}  // namespace alphaform

// The pre-tokenizer of a tokenizer.json: how a text is cut into the words that are merged separately. ByteLevel, Split
// and Sequence, with the meaning of huggingface/tokenizers (src/pre_tokenizers).
#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// A compiled regular expression of ICU and what becomes of its matches.
struct split_pattern;

/// One step. Either a Split (pattern set), or ByteLevel (pattern null), which must be the last step.
struct cut {
  std::shared_ptr<const split_pattern> pattern;
  bool prefix_blank = false;  // ByteLevel: put a blank before a piece that does not start with one
  bool gpt2 = false;          // ByteLevel: cut with gpt2_words
};

/// @throws user_error if the description is malformed, uses anything else, or its last step is not ByteLevel.
std::vector<cut> parse_pre_tokenizer(const nlohmann::json& description, std::string_view source);

/// The words of a text, as UTF-8. @throws user_error if the text is not UTF-8 or a pattern takes too long on it.
std::vector<std::string> words_of(const std::vector<cut>& steps, std::string_view utf8);

}  // namespace alphaform

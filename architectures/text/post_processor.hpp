// What a tokenizer.json does with the ids of a text: truncation and the special tokens around it, with the meaning of
// huggingface/tokenizers (src/processors, src/utils/truncation.rs).
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace alphaform {

/// Special tokens before and after a text.
struct surroundings {
  std::vector<std::int64_t> before, after;
};

/// At most `length` tokens, special ones included; the left or the right end of the text is cut.
struct truncation {
  std::int64_t length = 0;
  bool cut_left = false;
};

/// null, ByteLevel (no tokens), TemplateProcessing (its "single" template), or a Sequence of them with at most one that
/// adds tokens.
/// @throws user_error if the description is malformed or uses anything else.
surroundings parse_post_processor(const nlohmann::json* description, std::string_view source);

/// null or {"max_length", "strategy": "LongestFirst" | "OnlyFirst", "direction": "Right" | "Left"}.
/// @throws user_error if it is malformed, or smaller than the number of special tokens.
std::optional<truncation> parse_truncation(const nlohmann::json* description, const surroundings& special,
                                           std::string_view source);

/// The ids as the model gets them. Without special tokens the whole length is for the text.
std::vector<std::int64_t> finish(std::vector<std::int64_t> ids, const surroundings& special,
                                 const std::optional<truncation>& limit, bool add_special_tokens);

}  // namespace alphaform

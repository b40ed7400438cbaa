// The cleaning of a text before its tokenizer, as `token_handling` in the config.json of the tiny text models says:
// {"replace": {"<br />": " "}, "lowercase": "ASCII letters", "max_text_tokens": 127, "append": "<cls>", "cls_token_id":
// 2, ...}.
#pragma once
#include <alphaform/architectures/text/tokenizer.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace alphaform {

/// Replaces the keys of "replace" by their values (from left to right, one key after the other in their sorted order),
/// then makes ASCII letters lower case if "lowercase" says so. null leaves the text as it is.
/// @throws user_error if token_handling is malformed or asks for another kind of lower case.
std::string clean(std::string_view text, const nlohmann::json& token_handling);

/// Checks that the tokenizer itself truncates to "max_text_tokens" and appends "append" with the id "cls_token_id", as
/// far as token_handling names them. @throws user_error if they disagree.
void check_token_handling(const nlohmann::json& token_handling, const tokenizer& text_tokenizer);

}  // namespace alphaform

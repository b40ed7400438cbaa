// The added tokens of a tokenizer.json: contents that are found in the text before anything is cut, leftmost first and
// of those the longest, with the meaning of huggingface/tokenizers (src/tokenizer/added_vocabulary.rs).
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

struct added_token {
  std::int64_t id = 0;
  std::string content;
  bool special = false;
  bool single_word = false;  // only between characters that are not \w
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // found in the normalised text
};

/// @throws user_error if the list is malformed. Ids and contents are not compared with the vocabulary here.
std::vector<added_token> parse_added_tokens(const nlohmann::json& list, std::string_view source);

/// Tokens that are searched together, by first byte and longest first.
class token_finder {
 public:
  explicit token_finder(const std::vector<added_token>& tokens);

  /// A stretch of the text: an added token, or ordinary text between them (id -1).
  struct stretch {
    std::int64_t id;
    std::string_view text;
  };

  /// The stretches of a text in order; white space that a token strips belongs to the token.
  std::vector<stretch> find(std::string_view utf8) const;

 private:
  const added_token* match(std::string_view utf8, std::size_t at) const;

  std::vector<std::vector<added_token>> by_first_byte_;
};

}  // namespace alphaform

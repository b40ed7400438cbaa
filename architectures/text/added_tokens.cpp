// The added tokens of a tokenizer.json: reading the list, and finding them in a text.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/added_tokens.hpp>
#include <alphaform/architectures/text/unicode.hpp>
#include <alphaform/error.hpp>

namespace alphaform {
namespace {

bool continues_sequence(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// The first or the last character of a text that is not empty.
char32_t first_of(std::string_view utf8) {
  std::size_t length = 1;
  while (length < utf8.size() && continues_sequence(utf8[length])) ++length;
  return characters(utf8.substr(0, length)).front().code;
}

std::string_view last_sequence(std::string_view utf8) {
  std::size_t start = utf8.size() - 1;
  while (start > 0 && continues_sequence(utf8[start])) --start;
  return utf8.substr(start);
}

bool is_single_word(std::string_view before, std::string_view after) {
  const bool joined_before = !before.empty() && is_word(first_of(last_sequence(before)));
  const bool joined_after = !after.empty() && is_word(first_of(after));
  return !joined_before && !joined_after;
}

std::size_t spaces_at_end(std::string_view utf8) {
  std::string_view rest = utf8;
  while (!rest.empty() && is_space(first_of(last_sequence(rest)))) rest.remove_suffix(last_sequence(rest).size());
  return utf8.size() - rest.size();
}

std::size_t spaces_at_start(std::string_view utf8) {
  std::string_view rest = utf8;
  while (!rest.empty() && is_space(first_of(rest))) rest.remove_prefix(to_utf8(first_of(rest)).size());
  return utf8.size() - rest.size();
}

}  // namespace

std::vector<added_token> parse_added_tokens(const nlohmann::json& list, std::string_view source) {
  if (!list.is_array()) throw user_error(fmt::format("cannot read {}: its added_tokens must be a JSON array", source));
  std::vector<added_token> tokens;
  for (const nlohmann::json& entry : list) {
    const bool special = flag_at(entry, "special", false, source);
    tokens.push_back({count_at(entry, "id", source), string_at(entry, "content", source), special,
                      flag_at(entry, "single_word", false, source), flag_at(entry, "lstrip", false, source),
                      flag_at(entry, "rstrip", false, source), flag_at(entry, "normalized", !special, source)});
    if (tokens.back().content.empty()) throw user_error(fmt::format("cannot read {}: an added token is empty", source));
  }
  return tokens;
}

token_finder::token_finder(const std::vector<added_token>& tokens) : by_first_byte_(256) {
  for (const added_token& token : tokens) {
    if (!token.content.empty()) by_first_byte_[static_cast<unsigned char>(token.content.front())].push_back(token);
  }
  for (auto& bucket : by_first_byte_) {
    std::stable_sort(bucket.begin(), bucket.end(),
                     [](const added_token& a, const added_token& b) { return a.content.size() > b.content.size(); });
  }
}

const added_token* token_finder::match(std::string_view utf8, std::size_t at) const {
  for (const added_token& token : by_first_byte_[static_cast<unsigned char>(utf8[at])]) {
    if (utf8.substr(at).starts_with(token.content)) return &token;
  }
  return nullptr;
}

std::vector<token_finder::stretch> token_finder::find(std::string_view utf8) const {
  std::vector<stretch> stretches;
  std::size_t covered = 0;
  for (std::size_t at = 0; at < utf8.size();) {
    const added_token* token = match(utf8, at);
    const std::size_t length = token == nullptr ? 1 : token->content.size();
    const std::size_t end = at + length;
    if (token != nullptr && (!token->single_word || is_single_word(utf8.substr(0, at), utf8.substr(end)))) {
      const std::size_t begin = at - (token->lstrip ? spaces_at_end(utf8.substr(covered, at - covered)) : 0);
      const std::size_t stop = end + (token->rstrip ? spaces_at_start(utf8.substr(end)) : 0);
      if (covered < begin) stretches.push_back({-1, utf8.substr(covered, begin - covered)});
      stretches.push_back({token->id, utf8.substr(begin, stop - begin)});
      covered = stop;
      at = stop;
    } else {
      at = end;
    }
  }
  if (covered < utf8.size()) stretches.push_back({-1, utf8.substr(covered)});
  return stretches;
}

}  // namespace alphaform

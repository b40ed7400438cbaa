// The cleaning of a text before its tokenizer, and the comparison of what config.json and tokenizer.json say about the
// tokens.
#include <fmt/format.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/cleaning.hpp>
#include <alphaform/error.hpp>

namespace alphaform {
namespace {

using nlohmann::json;

constexpr std::string_view source = "the token_handling of config.json";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const bool found = text.substr(at).starts_with(from);
    result += found ? to : text.substr(at, 1);
    at += found ? from.size() : 1;
  }
  return result;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void check_appended(const json& token_handling, const std::vector<token>& empty_text) {
  const std::string appended = string_at(token_handling, "append", source);
  const bool same_piece = empty_text.size() == 1 && empty_text[0].piece == appended;
  const bool names_id = member(token_handling, "cls_token_id", source) != nullptr;
  if (!same_piece || (names_id && empty_text[0].id != count_at(token_handling, "cls_token_id", source))) {
    throw user_error(
        fmt::format("config.json appends {} to a text but the tokenizer adds {} special tokens{}; correct one of them",
                    quote(appended), empty_text.size(),
                    empty_text.empty() ? "" : fmt::format(", {} first", quote(empty_text[0].piece))));
  }
}

}  // namespace

std::string clean(std::string_view text, const json& token_handling) {
  std::string result(text);
  if (token_handling.is_null()) return result;
  if (const json* pairs = member(token_handling, "replace", source)) {
    if (!pairs->is_object()) throw user_error(fmt::format("cannot read {}: 'replace' must be a JSON object", source));
    for (const auto& [from, to] : pairs->items()) {
      if (from.empty()) throw user_error(fmt::format("cannot read {}: 'replace' has an empty key", source));
      result = replaced(result, from, string_at(*pairs, from.c_str(), source));
    }
  }
  if (member(token_handling, "lowercase", source) != nullptr) {
    if (const std::string letters = string_at(token_handling, "lowercase", source); letters != "ASCII letters") {
      throw user_error(
          fmt::format("cannot read {}: 'lowercase' is {}; only 'ASCII letters' is supported", source, quote(letters)));
    }
    for (char& c : result) c = lower(c);
  }
  return result;
}

void check_token_handling(const json& token_handling, const tokenizer& text_tokenizer) {
  if (token_handling.is_null()) return;
  const std::vector<token> empty_text = text_tokenizer.encode("");
  if (member(token_handling, "append", source) != nullptr) check_appended(token_handling, empty_text);
  if (member(token_handling, "max_text_tokens", source) == nullptr) return;
  const std::int64_t wanted = count_at(token_handling, "max_text_tokens", source);
  const auto most = text_tokenizer.max_tokens();
  if (!most || *most - static_cast<std::int64_t>(empty_text.size()) != wanted) {
    throw user_error(
        fmt::format("config.json keeps {} tokens of a text but the tokenizer {}; correct one of them", wanted,
                    most ? fmt::format("keeps {} with {} special ones", *most, empty_text.size()) : "keeps all"));
  }
}

}  // namespace alphaform

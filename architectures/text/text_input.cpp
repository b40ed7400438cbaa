#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/text/cleaning.hpp>
#include <alphaform/architectures/text/text_input.hpp>
#include <alphaform/error.hpp>

namespace alphaform {

namespace {

/// Where the tokenizer lies, or an empty path.
std::filesystem::path tokenizer_path(const checkpoint& file) {
  const std::filesystem::path folder = is_directory(file.path()) ? file.path() : file.path().parent_path();
  const nlohmann::json& config = file.config();
  if (config.is_object() && config.contains("tokenizer") && config["tokenizer"].is_string())
    return folder / std::filesystem::path(config["tokenizer"].get<std::string>()).relative_path();
  const std::filesystem::path beside = folder / "tokenizer.json";
  return exists(beside) ? beside : std::filesystem::path();
}

nlohmann::json handling_of(const checkpoint& file) {
  const nlohmann::json& config = file.config();
  return config.is_object() && config.contains("token_handling") ? config["token_handling"] : nlohmann::json();
}

}  // namespace

tokenizer tokenizer_of(const checkpoint& file, std::size_t vocabulary) {
  const std::filesystem::path path = tokenizer_path(file);
  if (path.empty() && vocabulary == 256) return tokenizer::bytes();
  if (path.empty())
    throw user_error(fmt::format(
        "{} has no tokenizer.json beside it and a vocabulary of {}, so text cannot be turned into tokens; give "
        "--ids, or put the model's tokenizer.json there",
        quote_path(file.path()), vocabulary));
  return tokenizer::load(path);
}

std::vector<token> tokens_of_text(const checkpoint& file, std::size_t vocabulary, std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw user_error("the text is empty; give at least one word");
  const tokenizer words = tokenizer_of(file, vocabulary);
  const nlohmann::json handling = handling_of(file);
  if (handling.is_null()) return words.encode(text);
  check_token_handling(handling, words);
  return words.encode(clean(text, handling));
}

std::vector<token> tokens_of_ids(const checkpoint& file, std::size_t vocabulary, std::span<const std::int64_t> ids) {
  if (!tokenizer_path(file).empty() || vocabulary == 256) return tokenizer_of(file, vocabulary).describe(ids);
  std::vector<token> tokens;
  for (const std::int64_t id : ids) tokens.push_back({id, std::to_string(id), false});
  return tokens;
}

std::vector<std::int64_t> ids_of(std::span<const token> tokens) {
  std::vector<std::int64_t> ids;
  for (const token& t : tokens) ids.push_back(t.id);
  return ids;
}

}  // namespace alphaform

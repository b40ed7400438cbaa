// Text to tokens: added tokens are found, the text between them is normalised, cut into words and merged.
#include <fmt/format.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/added_tokens.hpp>
#include <alphaform/architectures/text/bpe.hpp>
#include <alphaform/architectures/text/byte_level.hpp>
#include <alphaform/architectures/text/post_processor.hpp>
#include <alphaform/architectures/text/pre_tokenizer.hpp>
#include <alphaform/architectures/text/tokenizer.hpp>
#include <alphaform/architectures/text/unicode.hpp>
#include <alphaform/error.hpp>
#include <iterator>
#include <unordered_map>
#include <utility>

namespace alphaform {

struct tokenizer::contents {
  std::unordered_map<std::int64_t, token> tokens;  // by id
  std::int64_t size = 0;
  bool normalise = false;               // to NFC
  token_finder in_text{{}};             // added tokens that are found before normalisation
  token_finder in_normalised_text{{}};  // and after it
  std::vector<cut> cuts;
  bpe model;
  surroundings special;
  std::optional<truncation> limit;
};

namespace {

using nlohmann::json;
using ids = std::vector<std::int64_t>;
using token_table = std::unordered_map<std::int64_t, token>;

constexpr std::size_t longest_text = std::size_t{64} << 20U;
constexpr std::int64_t largest_size = std::int64_t{1} << 24;

bool parse_normalizer(const json* description, std::string_view source) {
  if (description == nullptr) return false;
  const std::string type = string_at(*description, "type", source);
  if (type == "NFC") return true;
  if (type != "Sequence") {
    throw user_error(
        fmt::format("cannot read {}: the normalizer {} is not supported; null, NFC and a Sequence of NFC are", source,
                    quote(type)));
  }
  const json& steps = required(*description, "normalizers", source);
  if (!steps.is_array()) throw user_error(fmt::format("cannot read {}: its normalizers must be a JSON array", source));
  bool nfc_somewhere = false;
  for (const json& step : steps) nfc_somewhere = parse_normalizer(&step, source) || nfc_somewhere;
  return nfc_somewhere;
}

void refuse_padding(const json* padding, std::string_view source) {
  if (padding == nullptr) return;
  const bool only_batches = required(*padding, "strategy", source) == "BatchLongest";
  if (!only_batches || member(*padding, "pad_to_multiple_of", source) != nullptr) {
    throw user_error(fmt::format("cannot read {}: its padding changes a single text; set 'padding' to null", source));
  }
}

token_table table_of(const vocabulary& entries) {
  token_table table;
  for (const auto& [entry, id] : entries) {
    const auto bytes = bytes_of_entry(entry);
    table.emplace(id, token{id, bytes ? visible(*bytes) : entry, false});
  }
  return table;
}

/// An added token may repeat an entry of the vocabulary; two different contents for one id, or two ids for one content,
/// are faults.
void add_to(token_table& table, vocabulary& entries, const added_token& added, std::string_view source) {
  const auto [entry, is_new] = entries.emplace(added.content, added.id);
  const bool id_taken = is_new && table.contains(added.id);
  if (entry->second != added.id || id_taken || added.id >= largest_size) {
    throw user_error(fmt::format(
        "cannot read {}: the added token {} has the id {}, which {}", source, quote(added.content), added.id,
        id_taken                   ? "belongs to another entry"
        : added.id >= largest_size ? "is too large"
                                   : fmt::format("is {} elsewhere in the file", entry->second)));
  }
  table.insert_or_assign(added.id, token{added.id, added.content, added.special});
}

void mark_special(token_table& table, const ids& special, std::string_view source) {
  for (const std::int64_t id : special) {
    const auto found = table.find(id);
    if (found == table.end()) {
      throw user_error(fmt::format("cannot read {}: its template adds the id {}, which no token has", source, id));
    }
    found->second.special = true;
  }
}

/// Special tokens first: of equal contents the first one is found.
std::vector<added_token> select(const std::vector<added_token>& all, bool normalized, bool normalise) {
  std::vector<added_token> chosen;
  std::copy_if(all.begin(), all.end(), std::back_inserter(chosen),
               [=](const added_token& added) { return added.normalized == normalized; });
  std::stable_partition(chosen.begin(), chosen.end(), [](const added_token& added) { return added.special; });
  if (normalized && normalise) {
    for (added_token& added : chosen) added.content = nfc(added.content);
  }
  return chosen;
}

std::int64_t size_of(const token_table& table) {
  std::int64_t size = 0;
  for (const auto& [id, ignored] : table) size = std::max(size, id + 1);
  return size;
}

}  // namespace

tokenizer tokenizer::load(const std::filesystem::path& tokenizer_json) {
  const std::string source = quote_path(tokenizer_json);
  const json file = read_json(tokenizer_json);
  const json& model = required(file, "model", source);
  contents all;
  all.normalise = parse_normalizer(member(file, "normalizer", source), source);
  refuse_padding(member(file, "padding", source), source);
  vocabulary entries = parse_vocabulary(model, source);
  all.model = parse_bpe(model, entries, source);
  all.cuts = parse_pre_tokenizer(required(file, "pre_tokenizer", source), source);
  all.tokens = table_of(entries);
  const json* list = member(file, "added_tokens", source);
  const auto added = list == nullptr ? std::vector<added_token>{} : parse_added_tokens(*list, source);
  for (const added_token& one : added) add_to(all.tokens, entries, one, source);
  all.in_text = token_finder(select(added, false, all.normalise));
  all.in_normalised_text = token_finder(select(added, true, all.normalise));
  all.special = parse_post_processor(member(file, "post_processor", source), source);
  mark_special(all.tokens, all.special.before, source);
  mark_special(all.tokens, all.special.after, source);
  all.limit = parse_truncation(member(file, "truncation", source), all.special, source);
  all.size = size_of(all.tokens);
  return tokenizer(std::make_shared<const contents>(std::move(all)));
}

tokenizer tokenizer::bytes(std::int64_t vocabulary_size) {
  if (vocabulary_size < 256 || vocabulary_size > largest_size) {
    throw user_error(fmt::format("cannot make a byte tokenizer for a vocabulary of {} tokens; it needs 256 to {}",
                                 vocabulary_size, largest_size));
  }
  contents all;
  all.size = vocabulary_size;
  for (std::int64_t id = 0; id < vocabulary_size; ++id) {
    if (id < 256) all.model.symbol_of_byte[static_cast<std::size_t>(id)] = id;
    all.tokens.emplace(
        id, token{id, id < 256 ? visible(std::string(1, static_cast<char>(id))) : fmt::format("[{}]", id), false});
  }
  return tokenizer(std::make_shared<const contents>(std::move(all)));
}

std::vector<token> tokenizer::encode(std::string_view utf8, bool add_special_tokens) const {
  if (utf8.size() > longest_text) {
    throw user_error(fmt::format("cannot tokenize a text of {} bytes; the limit is {}", utf8.size(), longest_text));
  }
  characters(utf8);  // refuses invalid UTF-8 before anything is searched
  ids all;
  const auto encode_plain = [&](std::string_view text) {
    for (const std::string& word : words_of(contents_->cuts, text)) {
      const ids more = encode_word(contents_->model, word);
      all.insert(all.end(), more.begin(), more.end());
    }
  };
  for (const auto& [id, text] : contents_->in_text.find(utf8)) {
    if (id >= 0) {
      all.push_back(id);
      continue;
    }
    const std::string normal = contents_->normalise ? nfc(text) : std::string(text);
    for (const auto& [inner_id, inner_text] : contents_->in_normalised_text.find(normal)) {
      inner_id >= 0 ? all.push_back(inner_id) : encode_plain(inner_text);
    }
  }
  return describe(finish(std::move(all), contents_->special, contents_->limit, add_special_tokens));
}

std::vector<token> tokenizer::describe(std::span<const std::int64_t> given) const {
  std::vector<token> tokens;
  tokens.reserve(given.size());
  for (const std::int64_t id : given) {
    const auto found = contents_->tokens.find(id);
    if (found == contents_->tokens.end()) {
      throw user_error(
          fmt::format("cannot describe the token id {}: the tokenizer has no such token; its ids are 0 to {}", id,
                      contents_->size - 1));
    }
    tokens.push_back(found->second);
  }
  return tokens;
}

std::int64_t tokenizer::vocabulary_size() const { return contents_->size; }

std::optional<std::int64_t> tokenizer::max_tokens() const {
  return contents_->limit ? std::optional(contents_->limit->length) : std::nullopt;
}

}  // namespace alphaform

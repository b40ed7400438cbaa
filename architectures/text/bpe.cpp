// Byte-pair encoding over bytes: reading the model of a tokenizer.json, and the merging itself.
#include <fmt/format.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/bpe.hpp>
#include <alphaform/architectures/text/byte_level.hpp>
#include <alphaform/error.hpp>
#include <cstddef>
#include <functional>
#include <queue>
#include <unordered_set>
#include <utility>

namespace alphaform {
namespace {

using nlohmann::json;

constexpr std::int64_t largest_id = (std::int64_t{1} << 24) - 1;

std::uint64_t pair_key(std::int64_t left, std::int64_t right) {
  return (static_cast<std::uint64_t>(left) << 32U) | static_cast<std::uint64_t>(right);
}

void refuse_unsupported(const json& model, std::string_view source) {
  if (const json* type = member(model, "type", source); type != nullptr && *type != "BPE") {
    throw user_error(fmt::format("cannot read {}: its model is of type {}; only byte-level BPE is supported", source,
                                 type->is_string() ? quote(type->get_ref<const std::string&>()) : "unknown"));
  }
  if (member(model, "dropout", source) != nullptr) {
    throw user_error(fmt::format(
        "cannot read {}: its model has a 'dropout', so that its tokens are random; set it to null", source));
  }
  if (flag_at(model, "byte_fallback", false, source)) {
    throw user_error(fmt::format("cannot read {}: 'byte_fallback' is not supported; only byte-level BPE is", source));
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (const json* value = member(model, affix, source); value != nullptr && *value != "") {
      throw user_error(fmt::format("cannot read {}: '{}' is not supported; only byte-level BPE is", source, affix));
    }
  }
}

/// The two sides of a merge, written ["a", "b"] or "a b".
std::pair<std::string, std::string> sides_of(const json& entry, std::string_view source) {
  if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
    return {entry[0].get<std::string>(), entry[1].get<std::string>()};
  }
  if (entry.is_string()) {
    const auto& text = entry.get_ref<const std::string&>();
    const auto blank = text.find(' ');
    if (blank != std::string::npos && text.find(' ', blank + 1) == std::string::npos) {
      return {text.substr(0, blank), text.substr(blank + 1)};
    }
  }
  throw user_error(fmt::format("cannot read {}: each of its merges must be \"a b\" or [\"a\", \"b\"]", source));
}

std::int64_t symbol_of(const vocabulary& entries, const std::string& entry, std::string_view source) {
  const auto found = entries.find(entry);
  if (found == entries.end()) {
    throw user_error(
        fmt::format("cannot read {}: its merges use {}, which is not in the vocabulary", source, quote(entry)));
  }
  return found->second;
}

void parse_merges(const json& list, const vocabulary& entries, std::string_view source, bpe& model) {
  if (!list.is_array()) throw user_error(fmt::format("cannot read {}: its merges must be a JSON array", source));
  std::size_t rank = 0;
  for (const json& entry : list) {
    if (entry.is_string() && entry.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = sides_of(entry, source);
    const auto key = pair_key(symbol_of(entries, left, source), symbol_of(entries, right, source));
    model.merges.insert_or_assign(key, merge{rank++, symbol_of(entries, left + right, source)});
  }
}

/// A symbol of the word being merged, in a doubly linked list by position; -1 ends the list, a dead symbol has id -1.
struct link {
  std::int64_t id;
  std::ptrdiff_t previous, next;
};

/// A pair that could be merged: rank first, then the leftmost. It is stale if the pair at `left` has changed since.
struct candidate {
  std::size_t rank;
  std::ptrdiff_t left;
  std::int64_t symbol;
  bool operator>(const candidate& other) const { return std::pair(rank, left) > std::pair(other.rank, other.left); }
};

using candidates = std::priority_queue<candidate, std::vector<candidate>, std::greater<>>;

std::vector<link> links_of(const bpe& model, std::string_view word) {
  std::vector<link> links;
  bool after_unknown = false;
  for (const char c : word) {
    std::int64_t id = model.symbol_of_byte[static_cast<unsigned char>(c)];
    const bool known = id >= 0;
    if (!known) {
      if (!model.unknown || (model.fuse_unknown && after_unknown)) continue;
      id = *model.unknown;
    }
    after_unknown = !known;
    const auto at = static_cast<std::ptrdiff_t>(links.size());
    links.push_back({id, at - 1, at + 1});
  }
  if (!links.empty()) links.back().next = -1;
  return links;
}

const merge* merge_at(const bpe& model, const std::vector<link>& links, std::ptrdiff_t left) {
  const link& first = links[static_cast<std::size_t>(left)];
  if (first.id < 0 || first.next < 0) return nullptr;
  const auto found = model.merges.find(pair_key(first.id, links[static_cast<std::size_t>(first.next)].id));
  return found == model.merges.end() ? nullptr : &found->second;
}

void merge_all(const bpe& model, std::vector<link>& links) {
  candidates open;
  const auto offer = [&](std::ptrdiff_t left) {
    const merge* found = left < 0 ? nullptr : merge_at(model, links, left);
    if (found != nullptr) open.push({found->rank, left, found->symbol});
  };
  for (std::size_t i = 0; i < links.size(); ++i) offer(static_cast<std::ptrdiff_t>(i));
  while (!open.empty()) {
    const candidate best = open.top();
    open.pop();
    const merge* now = merge_at(model, links, best.left);
    if (now == nullptr || now->symbol != best.symbol) continue;
    link& left = links[static_cast<std::size_t>(best.left)];
    link& right = links[static_cast<std::size_t>(left.next)];
    left.id = best.symbol;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) links[static_cast<std::size_t>(left.next)].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
}

}  // namespace

vocabulary parse_vocabulary(const json& model, std::string_view source) {
  const json& list = required(model, "vocab", source);
  if (!list.is_object()) throw user_error(fmt::format("cannot read {}: its vocab must be a JSON object", source));
  vocabulary entries;
  std::unordered_set<std::int64_t> taken;
  for (const auto& [entry, id] : list.items()) {
    const std::int64_t number = count_of(id, fmt::format("the id of {}", quote(entry)), source);
    if (number > largest_id || !taken.insert(number).second) {
      throw user_error(fmt::format("cannot read {}: the id {} of {} is {}", source, number, quote(entry),
                                   number > largest_id ? fmt::format("larger than {}", largest_id) : "given twice"));
    }
    entries.emplace(entry, number);
  }
  return entries;
}

bpe parse_bpe(const json& model, const vocabulary& entries, std::string_view source) {
  refuse_unsupported(model, source);
  bpe result;
  result.symbol_of_byte.fill(-1);
  const bool whole_words = flag_at(model, "ignore_merges", false, source);
  for (const auto& [entry, id] : entries) {
    const auto bytes = bytes_of_entry(entry);
    if (!bytes) continue;
    if (bytes->size() == 1) result.symbol_of_byte[static_cast<unsigned char>(bytes->front())] = id;
    if (whole_words) result.whole_word.emplace(*bytes, id);
  }
  if (member(model, "unk_token", source) != nullptr) {
    const std::string unknown = string_at(model, "unk_token", source);
    const auto found = entries.find(unknown);
    if (found == entries.end()) {
      throw user_error(
          fmt::format("cannot read {}: its unk_token {} is not in the vocabulary", source, quote(unknown)));
    }
    result.unknown = found->second;
  }
  result.fuse_unknown = flag_at(model, "fuse_unk", false, source);
  parse_merges(required(model, "merges", source), entries, source, result);
  return result;
}

std::vector<std::int64_t> encode_word(const bpe& model, std::string_view word) {
  if (const auto whole = model.whole_word.find(std::string(word)); whole != model.whole_word.end())
    return {whole->second};
  std::vector<link> links = links_of(model, word);
  merge_all(model, links);
  std::vector<std::int64_t> ids;
  for (const link& symbol : links) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
  return ids;
}

}  // namespace alphaform

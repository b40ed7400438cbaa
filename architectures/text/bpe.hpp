// Byte-pair encoding (Sennrich et al. 2016) over bytes: a word starts as one symbol a byte, and the adjacent pair of
// lowest rank is merged until no known pair is left. A priority queue makes it O(n log n) for a word of n bytes.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace alphaform {

/// What merging a pair of symbols gives: pairs of lower rank merge first.
struct merge {
  std::size_t rank;
  std::int64_t symbol;
};

/// The merge table and the symbols of single bytes. A value; ids are those of the vocabulary.
struct bpe {
  std::array<std::int64_t, 256> symbol_of_byte{};            // -1 where the vocabulary has no such byte
  std::unordered_map<std::uint64_t, merge> merges;           // by left << 32 | right
  std::unordered_map<std::string, std::int64_t> whole_word;  // of ignore_merges, by bytes; otherwise empty
  std::optional<std::int64_t> unknown;  // stands for a byte without symbol; otherwise it is dropped
  bool fuse_unknown = false;            // a run of such bytes gives one unknown symbol
};

/// The tokens of a vocabulary: entry text by id.
using vocabulary = std::unordered_map<std::string, std::int64_t>;

/// Reads the "vocab" of a tokenizer.json model of type BPE. @throws user_error if an id is invalid or given twice.
vocabulary parse_vocabulary(const nlohmann::json& model, std::string_view source);

/// Reads its merges and options. @throws user_error if they are malformed, name unknown entries, or ask for dropout,
/// byte_fallback or sub-word affixes, which are not supported.
bpe parse_bpe(const nlohmann::json& model, const vocabulary& entries, std::string_view source);

/// The ids of one word, given as bytes.
std::vector<std::int64_t> encode_word(const bpe& model, std::string_view word);

}  // namespace alphaform

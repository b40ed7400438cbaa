// Text to tokens: the byte-level BPE of a Hugging Face tokenizer.json, or one token a byte. Each token keeps the text
// it stands for, so that an explanation can be written over the words of the input.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alphaform {

struct token {
  std::int64_t id;
  std::string piece;  // UTF-8; bytes that are only part of a character as \xNN
  bool special;
};

/// An immutable shared handle, cheap to copy.
class tokenizer {
 public:
  /// @param tokenizer_json a tokenizer.json of byte-level BPE: normaliser null, NFC or Sequence; pre-tokenizer
  /// ByteLevel, Split or
  ///        Sequence; post-processor null, ByteLevel, TemplateProcessing or Sequence.
  /// @throws user_error if the file is missing or malformed, or asks for anything else.
  static tokenizer load(const std::filesystem::path& tokenizer_json);

  /// Each byte is the token of its value. @param vocabulary_size at least 256; larger ids stand for no byte and show as
  /// [id].
  static tokenizer bytes(std::int64_t vocabulary_size = 256);

  /// @param utf8 at most 64 MiB. @param add_special_tokens puts the tokens of the post-processor around the text; the
  ///        truncation of the file applies in either case. @throws user_error if the text is not valid UTF-8 or too
  ///        long.
  std::vector<token> encode(std::string_view utf8, bool add_special_tokens = true) const;

  /// The tokens of given ids. @throws user_error if an id is out of range or unused.
  std::vector<token> describe(std::span<const std::int64_t> ids) const;

  /// The largest id plus one.
  std::int64_t vocabulary_size() const;

  /// The most tokens that encode returns, special ones included, if the file truncates.
  std::optional<std::int64_t> max_tokens() const;

 private:
  struct contents;
  explicit tokenizer(std::shared_ptr<const contents> all) : contents_(std::move(all)) {}

  std::shared_ptr<const contents> contents_;
};

}  // namespace alphaform

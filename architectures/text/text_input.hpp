// Token ids for a model: from text by the tokenizer that its checkpoint names, or from ids as given.
#pragma once
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/text/tokenizer.hpp>
#include <span>
#include <string_view>

namespace alphaform {

/// The tokenizer of a checkpoint: config key `tokenizer` (relative to its folder), tokenizer.json beside it, or bytes
/// for a vocabulary of 256. @throws user_error when there is none
tokenizer tokenizer_of(const checkpoint&, std::size_t vocabulary);

/// The tokens of a text, cleaned as the configuration's token_handling says.
/// @throws user_error for an empty text or invalid UTF-8
std::vector<token> tokens_of_text(const checkpoint&, std::size_t vocabulary, std::string_view text);
/// The tokens of given ids; pieces are shown as numbers where there is no tokenizer.
std::vector<token> tokens_of_ids(const checkpoint&, std::size_t vocabulary, std::span<const std::int64_t> ids);

std::vector<std::int64_t> ids_of(std::span<const token>);

}  // namespace alphaform

// What several subcommands take: a text or ids for a loaded model.
#pragma once
#include <alphaform/architectures/text/text_input.hpp>
#include <optional>
#include <string>
#include <vector>

namespace alphaform::tools {

/// "1,2,3" as ids. @throws user_error naming the part that is no number
std::vector<std::int64_t> parse_ids(const std::string& list);

/// The tokens of --text or --ids, of which exactly one must be given.
std::vector<token> tokens_of(const checkpoint&, std::size_t vocabulary, const std::optional<std::string>& text,
                             const std::optional<std::string>& ids);

/// Writes to the file, or to the terminal if there is none.
void write_or_print(const std::optional<std::string>& file, const std::string& bytes);

}  // namespace alphaform::tools

#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/error.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <alphaform/tools/input.hpp>
#include <charconv>
#include <cstdio>

namespace alphaform::tools {

std::vector<std::int64_t> parse_ids(const std::string& list) {
  std::vector<std::int64_t> ids;
  const char* at = list.data();
  const char* const end = at + list.size();
  while (at <= end) {
    std::int64_t id = 0;
    const auto [next, failed] = std::from_chars(at, end, id);
    if (failed != std::errc{} || (next != end && *next != ','))
      throw user_error(
          fmt::format("--ids takes token numbers separated by commas, such as 34,105,110; '{}' is not that", list));
    ids.push_back(id);
    at = next + 1;
  }
  return ids;
}

std::vector<token> tokens_of(const checkpoint& file, std::size_t vocabulary, const std::optional<std::string>& text,
                             const std::optional<std::string>& ids) {
  if (vocabulary == 0)
    throw user_error(fmt::format("{} reads images, not text: 'attention --image' and 'classify' take images",
                                 quote_path(file.path())));
  if (text.has_value() == ids.has_value())
    throw user_error("give either --text or --ids, so that there is something to look at");
  if (text) return tokens_of_text(file, vocabulary, *text);
  const std::vector<std::int64_t> numbers = parse_ids(*ids);
  for (const std::int64_t id : numbers)
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary)
      throw user_error(
          fmt::format("token id {} is outside the vocabulary of {} entries (0 to {})", id, vocabulary, vocabulary - 1));
  return tokens_of_ids(file, vocabulary, numbers);
}

void write_or_print(const std::optional<std::string>& file, const std::string& bytes) {
  if (file) return write_file(*file, bytes);
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
    throw runtime_error("cannot write to standard output");
}

}  // namespace alphaform::tools

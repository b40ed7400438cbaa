// Truncation and the special tokens around a text. A template with one sequence is a list before it and a list after
// it.
#include <fmt/format.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/post_processor.hpp>
#include <alphaform/error.hpp>

namespace alphaform {
namespace {

using nlohmann::json;
using ids = std::vector<std::int64_t>;

[[noreturn]] void refuse(std::string_view source, std::string_view what) {
  throw user_error(fmt::format("cannot read {}: {}", source, what));
}

ids special_ids(const json& description, const std::string& name, std::string_view source) {
  const json& all = required(description, "special_tokens", source);
  const json* entry = member(all, name.c_str(), source);
  if (entry == nullptr)
    refuse(source, fmt::format("its template uses {}, which is not in special_tokens", quote(name)));
  const json& list = required(*entry, "ids", source);
  if (!list.is_array()) refuse(source, fmt::format("the ids of {} must be a JSON array", quote(name)));
  ids result;
  for (const json& id : list) result.push_back(count_of(id, fmt::format("each id of {}", quote(name)), source));
  return result;
}

surroundings parse_template(const json& description, std::string_view source) {
  const json& pieces = required(description, "single", source);
  if (!pieces.is_array()) refuse(source, "its template 'single' must be a JSON array");
  surroundings result;
  int sequences = 0;
  for (const json& piece : pieces) {
    if (const json* text = member(piece, "Sequence", source)) {
      if (string_at(*text, "id", source) != "A") refuse(source, "its template 'single' uses a sequence other than A");
      ++sequences;
    } else {
      const json& special = required(piece, "SpecialToken", source);
      ids& side = sequences == 0 ? result.before : result.after;
      const ids more = special_ids(description, string_at(special, "id", source), source);
      side.insert(side.end(), more.begin(), more.end());
    }
  }
  if (sequences != 1)
    refuse(source, fmt::format("its template 'single' uses the text {} times and not once", sequences));
  return result;
}

bool adds_tokens(const surroundings& special) { return !special.before.empty() || !special.after.empty(); }

}  // namespace

surroundings parse_post_processor(const json* description, std::string_view source) {
  if (description == nullptr) return {};
  const std::string type = string_at(*description, "type", source);
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return parse_template(*description, source);
  if (type != "Sequence") {
    refuse(source, fmt::format("the post-processor {} is not supported; TemplateProcessing, ByteLevel and Sequence are",
                               quote(type)));
  }
  const json& list = required(*description, "processors", source);
  if (!list.is_array()) refuse(source, "its processors must be a JSON array");
  surroundings result;
  for (const json& step : list) {
    surroundings more = parse_post_processor(&step, source);
    if (adds_tokens(result) && adds_tokens(more)) refuse(source, "two of its post-processors add tokens; only one can");
    if (adds_tokens(more)) result = std::move(more);
  }
  return result;
}

std::optional<truncation> parse_truncation(const json* description, const surroundings& special,
                                           std::string_view source) {
  if (description == nullptr) return std::nullopt;
  const std::int64_t length = count_at(*description, "max_length", source);
  const std::string strategy = string_at(*description, "strategy", source);
  const std::string direction =
      member(*description, "direction", source) == nullptr ? "Right" : string_at(*description, "direction", source);
  if (strategy != "LongestFirst" && strategy != "OnlyFirst") {
    refuse(source,
           fmt::format("the truncation strategy {} is not supported; LongestFirst and OnlyFirst are", quote(strategy)));
  }
  if (direction != "Right" && direction != "Left") {
    refuse(source, fmt::format("the truncation direction {} is neither Right nor Left", quote(direction)));
  }
  if (const auto count = special.before.size() + special.after.size(); static_cast<std::size_t>(length) < count) {
    refuse(source, fmt::format("its truncation keeps {} tokens but the special tokens alone are {}", length, count));
  }
  return truncation{length, direction == "Left"};
}

ids finish(ids text, const surroundings& special, const std::optional<truncation>& limit, bool add_special_tokens) {
  const surroundings around_text = add_special_tokens ? special : surroundings{};
  if (limit) {
    const auto room = static_cast<std::size_t>(limit->length) - around_text.before.size() - around_text.after.size();
    const auto excess = static_cast<std::ptrdiff_t>(text.size() > room ? text.size() - room : 0);
    if (limit->cut_left) {
      text.erase(text.begin(), text.begin() + excess);
    } else {
      text.erase(text.end() - excess, text.end());
    }
  }
  text.insert(text.begin(), around_text.before.begin(), around_text.before.end());
  text.insert(text.end(), around_text.after.begin(), around_text.after.end());
  return text;
}

}  // namespace alphaform

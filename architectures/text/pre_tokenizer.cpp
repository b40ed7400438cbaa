// The pre-tokenizer of a tokenizer.json: ByteLevel by hand, Split through ICU regular expressions on UTF-8.
#include <fmt/format.h>
#include <unicode/regex.h>
#include <unicode/utext.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/byte_level.hpp>
#include <alphaform/architectures/text/pre_tokenizer.hpp>
#include <alphaform/error.hpp>

namespace alphaform {

using nlohmann::json;

struct split_pattern {
  std::unique_ptr<const icu::RegexPattern> regex;
  bool keep_matches = true;
  bool keep_rest = true;
};

namespace {

constexpr std::size_t most_steps = 64;
constexpr std::int32_t most_matching_steps = 4'000;  // in ICU's units, about a second for one match

[[noreturn]] void refuse(std::string_view source, std::string_view what) {
  throw user_error(fmt::format("cannot read {}: {}", source, what));
}

std::unique_ptr<const icu::RegexPattern> compile(const json& pattern, std::string_view source) {
  const bool literal = member(pattern, "Regex", source) == nullptr;
  const std::string text = string_at(pattern, literal ? "String" : "Regex", source);
  UErrorCode status = U_ZERO_ERROR;
  UParseError place{};
  const std::uint32_t flags = literal ? std::uint32_t{UREGEX_LITERAL} : 0U;
  std::unique_ptr<const icu::RegexPattern> regex(
      icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(text), flags, place, status));
  if (U_FAILURE(status) || text.empty()) {
    refuse(source, fmt::format("ICU cannot compile its split pattern {} ({})", quote(text), u_errorName(status)));
  }
  return regex;
}

cut parse_split(const json& step, std::string_view source) {
  const std::string behavior = string_at(step, "behavior", source);
  const bool invert = flag_at(step, "invert", false, source);
  if (behavior != "Isolated" && behavior != "Removed") {
    refuse(source, fmt::format("the split behavior {} is not supported; Isolated and Removed are", quote(behavior)));
  }
  auto pattern = std::make_shared<split_pattern>();
  pattern->regex = compile(required(step, "pattern", source), source);
  pattern->keep_matches = behavior == "Isolated" || invert;
  pattern->keep_rest = behavior == "Isolated" || !invert;
  return {pattern, false, false};
}

void parse_steps(const json& description, std::string_view source, std::vector<cut>& steps) {
  const std::string type = string_at(description, "type", source);
  if (steps.size() >= most_steps) refuse(source, fmt::format("its pre-tokenizer has more than {} steps", most_steps));
  if (type == "Sequence") {
    const json& list = required(description, "pretokenizers", source);
    if (!list.is_array()) refuse(source, "its pretokenizers must be a JSON array");
    for (const json& step : list) parse_steps(step, source, steps);
  } else if (!steps.empty() && steps.back().pattern == nullptr) {
    refuse(source, "its pre-tokenizer has a step after ByteLevel; ByteLevel must be the last one");
  } else if (type == "ByteLevel") {
    steps.push_back({nullptr, flag_at(description, "add_prefix_space", true, source),
                     flag_at(description, "use_regex", true, source)});
  } else if (type == "Split") {
    steps.push_back(parse_split(description, source));
  } else {
    refuse(source,
           fmt::format("the pre-tokenizer {} is not supported; ByteLevel, Split and Sequence are", quote(type)));
  }
}

using text_handle = std::unique_ptr<UText, decltype(&utext_close)>;

/// The pieces that a Split keeps. An empty match still separates what stands before and after it.
void split(const split_pattern& pattern, const std::string& piece, std::vector<std::string>& pieces) {
  UErrorCode status = U_ZERO_ERROR;
  const text_handle text(utext_openUTF8(nullptr, piece.data(), static_cast<std::int64_t>(piece.size()), &status),
                         &utext_close);
  const std::unique_ptr<icu::RegexMatcher> matcher(pattern.regex->matcher(status));
  if (U_FAILURE(status)) throw runtime_error(fmt::format("cannot split the text: ICU reports {}", u_errorName(status)));
  matcher->setTimeLimit(most_matching_steps, status);
  matcher->reset(text.get());
  const auto keep = [&](bool wanted, std::size_t from, std::size_t to) {
    if (wanted && from < to) pieces.push_back(piece.substr(from, to - from));
  };
  std::size_t covered = 0;
  while (matcher->find(status)) {
    const auto begin = static_cast<std::size_t>(matcher->start64(status));
    const auto end = static_cast<std::size_t>(matcher->end64(status));
    keep(pattern.keep_rest, covered, begin);
    keep(pattern.keep_matches, begin, end);
    covered = end;
  }
  if (U_FAILURE(status)) {
    throw user_error(
        fmt::format("cannot split the text with the pattern of the tokenizer: ICU gave up ({}); the pattern "
                    "is too slow for this text",
                    u_errorName(status)));
  }
  keep(pattern.keep_rest, covered, piece.size());
}

void byte_level(const cut& step, std::string piece, std::vector<std::string>& pieces) {
  if (step.prefix_blank && !piece.starts_with(' ')) piece.insert(piece.begin(), ' ');
  if (!step.gpt2) {
    pieces.push_back(std::move(piece));
    return;
  }
  for (const std::string_view word : gpt2_words(piece)) pieces.emplace_back(word);
}

}  // namespace

std::vector<cut> parse_pre_tokenizer(const json& description, std::string_view source) {
  std::vector<cut> steps;
  parse_steps(description, source, steps);
  if (steps.empty() || steps.back().pattern != nullptr) {
    refuse(source, "its pre-tokenizer does not end with ByteLevel; only byte-level BPE is supported");
  }
  return steps;
}

std::vector<std::string> words_of(const std::vector<cut>& steps, std::string_view utf8) {
  std::vector<std::string> pieces;
  if (!utf8.empty()) pieces.emplace_back(utf8);
  for (const cut& step : steps) {
    std::vector<std::string> next;
    for (std::string& piece : pieces) {
      if (step.pattern != nullptr) {
        split(*step.pattern, piece, next);
      } else {
        byte_level(step, std::move(piece), next);
      }
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace alphaform

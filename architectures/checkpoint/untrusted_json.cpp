// JSON from files of unknown origin: a parser callback watches the keys of every open object and the depth.
#include <fmt/format.h>

#include <alphaform/architectures/checkpoint/mapped_file.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/error.hpp>
#include <limits>
#include <unordered_set>
#include <vector>

namespace alphaform {
namespace {

using nlohmann::json;

constexpr int deepest = 64;

std::string read_text(const std::filesystem::path& path, std::size_t limit) {
  const auto file = mapped_file::open(path);
  const auto bytes = file.bytes();
  if (bytes.size() > limit) {
    throw user_error(fmt::format("cannot read {}: it has {} bytes and the limit for this kind of JSON file is {}",
                                 quote_path(path), bytes.size(), limit));
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The length of the JSON string that starts at text[start] (a quotation mark), up to and with its closing mark.
std::size_t string_length(std::string_view text, std::size_t start) {
  for (std::size_t i = start + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1 - start;
    }
  }
  return text.size() - start;
}

std::string with_python_floats(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    std::string_view word;
    for (const std::string_view candidate : {"-Infinity", "Infinity", "NaN"}) {
      if (word.empty() && text.substr(i).starts_with(candidate)) word = candidate;
    }
    if (!word.empty()) {
      result += fmt::format(R"({{"__float__": "{}"}})", word);
    } else {
      word = text.substr(i, text[i] == '"' ? string_length(text, i) : 1);
      result += word;
    }
    i += word.size();
  }
  return result;
}

}  // namespace

json parse_json(std::string_view text, std::string_view source) {
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open now
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > deepest) {
      throw user_error(fmt::format("cannot read {}: its JSON nests deeper than {} levels", source, deepest));
    }
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw user_error(fmt::format("cannot read {}: the name {} occurs twice in one JSON object; names must be unique",
                                   source, quote(value.get_ref<const std::string&>())));
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::parse_error& error) {
    throw user_error(fmt::format("cannot read {}: it is not valid JSON (first fault at byte {} of {})", source,
                                 error.byte, text.size()));
  } catch (const json::exception&) {  // a number beyond double
    throw user_error(fmt::format("cannot read {}: it holds a number that is out of range", source));
  }
}

json read_json(const std::filesystem::path& path, std::size_t limit) {
  return parse_json(read_text(path, limit), quote_path(path));
}

json read_python_json(const std::filesystem::path& path, std::size_t limit) {
  return parse_json(with_python_floats(read_text(path, limit)), quote_path(path));
}

const json* member(const json& object, const char* key, std::string_view source) {
  if (!object.is_object()) {
    throw user_error(fmt::format("cannot read {}: a JSON object with '{}' was expected but it is {} {}", source, key,
                                 object.is_array() ? "an" : "a", object.type_name()));
  }
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const json& required(const json& object, const char* key, std::string_view source) {
  const json* found = member(object, key, source);
  if (found == nullptr) throw user_error(fmt::format("cannot read {}: '{}' is missing", source, key));
  return *found;
}

std::string string_at(const json& object, const char* key, std::string_view source) {
  const json& value = required(object, key, source);
  if (!value.is_string()) {
    throw user_error(fmt::format("cannot read {}: '{}' must be a string but is a {}", source, key, value.type_name()));
  }
  return value.get<std::string>();
}

bool flag_at(const json& object, const char* key, bool missing, std::string_view source) {
  const json* value = member(object, key, source);
  if (value == nullptr) return missing;
  if (!value->is_boolean()) {
    throw user_error(
        fmt::format("cannot read {}: '{}' must be true or false but is a {}", source, key, value->type_name()));
  }
  return value->get<bool>();
}

std::int64_t count_at(const json& object, const char* key, std::string_view source) {
  return count_of(required(object, key, source), fmt::format("'{}'", key), source);
}

std::int64_t count_of(const json& value, std::string_view what, std::string_view source) {
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool too_large = value.is_number_unsigned() && value.get<std::uint64_t>() > largest;
  if (!value.is_number_integer() || too_large || value.get<std::int64_t>() < 0) {
    throw user_error(fmt::format("cannot read {}: {} must be a whole number that is not negative but is {}", source,
                                 what, value.is_number() ? value.dump() : fmt::format("a JSON {}", value.type_name())));
  }
  return value.get<std::int64_t>();
}

}  // namespace alphaform

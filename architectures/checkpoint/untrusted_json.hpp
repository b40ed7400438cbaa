// JSON from files of unknown origin: refuses duplicate keys (the parser alone would keep the last one silently) and
// deep nesting (copying such a value would exhaust the stack), and reads typed members with messages that name the file
// and the key.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace alphaform {

/// @param source what the text is, as it appears in messages: "'config.json'", "the header of 'model.safetensors'".
/// @throws user_error if the text is not JSON, repeats a key inside one object or nests deeper than 64 levels.
nlohmann::json parse_json(std::string_view text, std::string_view source);

/// The JSON of a whole file. @throws user_error as parse_json, and if the file is missing or larger than `limit` bytes.
nlohmann::json read_json(const std::filesystem::path& path, std::size_t limit = std::size_t{256} << 20U);

/// The same for files written by Python, where a bare Infinity, -Infinity or NaN is read as {"__float__": "Infinity"},
/// {"__float__": "-Infinity"} or {"__float__": "NaN"}, the form that transformers 5 writes.
nlohmann::json read_python_json(const std::filesystem::path& path, std::size_t limit = std::size_t{16} << 20U);

/// The member `key`, or nullptr if it is missing or null. @throws user_error if `object` is not an object.
const nlohmann::json* member(const nlohmann::json& object, const char* key, std::string_view source);

/// The member `key`, which must be there. @throws user_error.
const nlohmann::json& required(const nlohmann::json& object, const char* key, std::string_view source);

/// The string under `key`, which must be there. @throws user_error.
std::string string_at(const nlohmann::json& object, const char* key, std::string_view source);

/// The boolean under `key`, or `missing` if it is missing or null. @throws user_error if it is something else.
bool flag_at(const nlohmann::json& object, const char* key, bool missing, std::string_view source);

/// The whole number 0 .. 2^63-1 under `key`, which must be there. @throws user_error.
std::int64_t count_at(const nlohmann::json& object, const char* key, std::string_view source);

/// `value` as a whole number 0 .. 2^63-1; `what` names it in the message. @throws user_error.
std::int64_t count_of(const nlohmann::json& value, std::string_view what, std::string_view source);

}  // namespace alphaform

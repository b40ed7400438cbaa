#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/models/facts.hpp>
#include <alphaform/error.hpp>
#include <cmath>
#include <limits>

namespace alphaform {

array scalar(double v) { return {{}, {v}}; }

namespace {

/// A number, or an infinity as transformers 5 writes it.
bool as_number(const nlohmann::json& value, double& number) {
  if (value.is_number()) {
    number = value.get<double>();
    return true;
  }
  if (!value.is_object() || !value.contains("__float__") || !value["__float__"].is_string()) return false;
  const auto word = value["__float__"].get<std::string>();
  number = std::numeric_limits<double>::infinity();
  if (word == "Infinity" || word == "inf") return true;
  number = -number;
  return word == "-Infinity" || word == "-inf";
}

[[noreturn]] void refuse(std::string_view key, std::string_view wanted, const nlohmann::json& found) {
  throw user_error(fmt::format("config.json: '{}' should be {}, but is {}", key, wanted,
                               quote(found.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace))));
}

}  // namespace

const nlohmann::json* facts::at(std::string_view keys) const {
  while (!keys.empty()) {
    std::string_view key = keys.substr(0, keys.find('|'));
    keys.remove_prefix(std::min(keys.size(), key.size() + 1));
    const nlohmann::json* found = &file_.config();
    while (found != nullptr && !key.empty()) {
      const std::string name(key.substr(0, key.find('.')));
      key.remove_prefix(std::min(key.size(), name.size() + 1));
      found = found->is_object() && found->contains(name) && !(*found)[name].is_null() ? &(*found)[name] : nullptr;
    }
    if (found != nullptr) return found;
  }
  return nullptr;
}

bool facts::has(std::string_view key) const { return at(key) != nullptr; }

double facts::number(std::string_view key, double otherwise) const {
  const nlohmann::json* value = at(key);
  double found = otherwise;
  if (value != nullptr && !as_number(*value, found)) refuse(key, "a number", *value);
  return found;
}

bool facts::flag(std::string_view key, bool otherwise) const {
  const nlohmann::json* value = at(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(key, "true or false", *value);
  return value->get<bool>();
}

std::string facts::text(std::string_view key, std::string_view otherwise) const {
  const nlohmann::json* value = at(key);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) refuse(key, "a word", *value);
  return value->get<std::string>();
}

double facts::entry(std::string_view key, std::size_t place, double otherwise) const {
  const nlohmann::json* value = at(key);
  if (value == nullptr) return otherwise;
  double found = otherwise;
  if (!value->is_array() || value->size() <= place || !as_number((*value)[place], found))
    refuse(key, "a list of numbers", *value);
  return found;
}

std::size_t facts::count(std::string_view key) const {
  if (!has(key))
    throw user_error(fmt::format("config.json has no '{}', without which the shapes of {} cannot be read", key,
                                 quote_path(file_.path())));
  return count(key, 0);
}

std::size_t facts::count(std::string_view key, std::size_t otherwise) const {
  const nlohmann::json* value = at(key);
  if (value == nullptr) return otherwise;
  const double found = number(key, 0);
  if (!(found >= 1 && found <= 1e9) || found != std::floor(found)) refuse(key, "a positive whole number", *value);
  return static_cast<std::size_t>(found);
}

std::string facts::full(std::string_view tensor) const {
  return tensor.starts_with('/') ? prefix_ + std::string(tensor.substr(1)) : mixer_ + std::string(tensor);
}

bool facts::holds(std::string_view tensor) const { return file_.find(full(tensor)) != nullptr; }

std::size_t facts::length(std::string_view tensor, int dimension) const {
  const stored_tensor& t = file_.at(full(tensor));
  const auto rank = static_cast<int>(t.shape.size());
  const int at = dimension < 0 ? rank + dimension : dimension;
  if (at < 0 || at >= rank) throw user_error(fmt::format("'{}' should have more than {} dimensions", t.name, rank));
  return static_cast<std::size_t>(t.shape[static_cast<std::size_t>(at)]);
}

array facts::tensor(std::string_view name) const {
  const stored_tensor& t = file_.at(full(name));
  return {{t.shape.begin(), t.shape.end()}, values<double>(t)};
}

}  // namespace alphaform

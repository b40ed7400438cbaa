#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/models/families.hpp>
#include <alphaform/backends/model/binding.hpp>
#include <cstring>
#include <set>

namespace alphaform {

std::vector<std::string_view> parameters_of(const expr& e) {
  std::set<std::string_view> names;
  any_of(e.g, e.root, [&](const node& n) {
    if (n.is<terms::parameter>()) names.insert(n.id);
    return false;
  });
  return {names.begin(), names.end()};
}

const family& family_of(const checkpoint& file) {
  std::string known;
  for (const family& f : models::families) known += fmt::format("{}'{}'", known.empty() ? "" : ", ", f.model_type);
  const nlohmann::json& config = file.config();
  if (!config.is_object() || !config.contains("model_type") || !config["model_type"].is_string())
    throw user_error(
        fmt::format("{} has no config.json with a model_type, which says how to read its tensors; known are {}",
                    quote_path(file.path()), known));
  const auto type = config["model_type"].get<std::string>();
  for (const family& f : models::families)
    if (f.model_type == type) return f;
  throw user_error(fmt::format("{} is a model of type '{}', which cannot be loaded; known are {}",
                               quote_path(file.path()), type, known));
}

namespace {

std::string with_block(std::string_view pattern, std::size_t block) {
  std::string s(pattern);
  if (const auto at = s.find("{i}"); at != std::string::npos) s.replace(at, 3, std::to_string(block));
  return s;
}

/// "blocks.0.feed_forward." + "../ln2.weight" is "blocks.0.ln2.weight".
std::string joined(std::string prefix, std::string_view name) {
  while (name.starts_with("../")) {
    prefix.pop_back();
    prefix.erase(prefix.rfind('.') + 1);
    name.remove_prefix(3);
  }
  return prefix + std::string(name);
}

double number_at(const nlohmann::json& config, std::string_view key, double otherwise) {
  const auto found = config.find(std::string(key));
  if (found == config.end() || found->is_null()) return otherwise;
  if (!found->is_number())
    throw user_error(fmt::format("config.json: '{}' should be a number, but is {}", key, found->dump()));
  return found->get<double>();
}

std::vector<std::size_t> shape_of(const stored_tensor& t) { return {t.shape.begin(), t.shape.end()}; }

}  // namespace

template <class T>
binder<T>::binder(const checkpoint& file, const family& f) : file_(file), family_(f), prefix_(f.prefix) {
  const nlohmann::json& config = file_.config();
  if (config.contains("backbone_prefix") && config["backbone_prefix"].is_string())
    prefix_ = config["backbone_prefix"].get<std::string>();
  if (!prefix_.empty() && !prefix_.ends_with('.')) prefix_ += '.';
  if (!f.unlike.key.empty() && file_.find(f.unlike.key) != nullptr)
    throw user_error(fmt::format("{} cannot be loaded: {}", quote_path(file_.path()), f.unlike.value));
  for (const requirement& r : f.required)
    if (config.contains(r.key) && config[std::string(r.key)] != r.value)
      throw user_error(fmt::format("config.json: {} is {}, but models of type '{}' can be loaded only with \"{}\"",
                                   r.key, config[std::string(r.key)].dump(), f.model_type, r.value));
  epsilon_ = number_at(config, f.epsilon_key, f.epsilon);
  while (file_.find(prefix_ + with_block(f.norm.prefix, blocks_) + "weight") != nullptr) ++blocks_;
  if (blocks_ == 0)
    throw user_error(fmt::format("{} has no tensor '{}weight': it holds no block of a model of type '{}'",
                                 quote_path(file_.path()), prefix_ + with_block(f.norm.prefix, 0), f.model_type));
  for (const char* key : {"num_hidden_layers", "n_layer"}) {
    const double said = number_at(config, key, static_cast<double>(blocks_));
    if (said != static_cast<double>(blocks_))
      throw user_error(fmt::format(
          "config.json says {} {}, but {} holds {} blocks; the file is incomplete or belongs to another model", key,
          said, quote_path(file_.path()), blocks_));
  }
  if (!f.rescaled.empty()) {
    const double every = number_at(config, "rescale_every", 0);
    if (every < 0 || every > 1e6)
      throw user_error(fmt::format("config.json: rescale_every is {}, which is no number of blocks", every));
    rescale_every_ = static_cast<std::size_t>(every);
  }
}

template <class T>
parameter<T> binder<T>::tensor_named(const std::string& name) const {
  return loaded(file_.at(name), 0, nullptr);
}

template <class T>
environment<T> binder<T>::bind(std::span<const expr* const> expressions, std::string_view prefix,
                               std::size_t block) const {
  environment<T> env;
  for (const expr* e : expressions)
    for (const std::string_view name : parameters_of(*e))
      if (!env.parameters.contains(name)) bind(env, name, prefix_ + with_block(prefix, block), block);
  env.optional = [optional = family_.optional](std::string_view name) {
    return std::find(optional.begin(), optional.end(), name) != optional.end();
  };
  return env;
}

template <class T>
void binder<T>::bind(environment<T>& env, std::string_view name, const std::string& prefix, std::size_t block) const {
  const bool may_miss = std::find(family_.optional.begin(), family_.optional.end(), name) != family_.optional.end();
  if (name == "epsilon") {
    auto value = std::make_shared<T>(static_cast<T>(epsilon_));
    env.parameters[std::string(name)] = {{}, value.get(), value};
    return;
  }
  for (const split& s : family_.splits)
    for (const portion& p : s.parts)
      if (p.parameter == name) {
        if (file_.find(prefix + std::string(s.tensor)) == nullptr && may_miss) return;
        env.parameters[std::string(name)] = piece(name, s, prefix, block);
        return;
      }
  std::string tensor = joined(prefix, name);
  double (*stored)(double) = nullptr;
  for (const alias& a : family_.aliases)
    if (a.parameter == name) {
      tensor = joined(prefix, a.tensor);
      stored = a.stored;
    }
  if (file_.find(tensor) == nullptr && may_miss) return;
  env.parameters[std::string(name)] = loaded(file_.at(tensor), block, stored);
}

template <class T>
parameter<T> binder<T>::piece(std::string_view name, const split& s, const std::string& prefix,
                              std::size_t block) const {
  const stored_tensor& whole = file_.at(prefix + std::string(s.tensor));
  std::size_t begin = 0, rows = 0, total = 0;
  for (const portion& p : s.parts) {
    const stored_tensor& like = file_.at(prefix + std::string(p.like));
    if (like.shape.size() <= p.dimension)
      throw user_error(fmt::format("'{}' should have at least {} dimensions, but has {}", like.name, p.dimension + 1,
                                   like.shape.size()));
    const auto length = static_cast<std::size_t>(like.shape[p.dimension]);
    if (p.parameter == name) {
      begin = total;
      rows = length;
    }
    total += length;
  }
  if (whole.shape.empty() || static_cast<std::size_t>(whole.shape[0]) != total)
    throw user_error(fmt::format("'{}' should have {} rows, as its parts do together, but has {}", whole.name, total,
                                 whole.shape.empty() ? 0 : whole.shape[0]));
  parameter<T> p = loaded(whole, block, nullptr);
  std::size_t row = 1;
  for (std::size_t k = 1; k < p.shape.size(); ++k) row *= p.shape[k];
  p.shape[0] = rows;
  p.data += begin * row;
  return p;
}

/// The numbers of a tensor: in place where type and alignment allow, converted otherwise.
template <class T>
parameter<T> binder<T>::loaded(const stored_tensor& t, std::size_t block, double (*stored)(double)) const {
  const auto ends_so = [&](std::string_view end) { return t.name.ends_with(end); };
  const bool rescaled = rescale_every_ > 0 && block >= rescale_every_ &&
                        std::any_of(family_.rescaled.begin(), family_.rescaled.end(), ends_so);
  if (std::find(t.shape.begin(), t.shape.end(), 0) != t.shape.end())
    throw user_error(fmt::format("the tensor '{}' is empty: one of its dimensions is 0", t.name));
  constexpr dtype own = std::is_same_v<T, float> ? dtype::f32 : dtype::f64;
  const auto address = reinterpret_cast<std::uintptr_t>(t.bytes.data());
  if (t.type == own && address % alignof(T) == 0 && !rescaled && stored == nullptr)
    return {shape_of(t), reinterpret_cast<const T*>(t.bytes.data()), std::make_shared<checkpoint>(file_)};
  auto numbers = std::make_shared<std::vector<T>>(values<T>(t));
  if (stored != nullptr)
    for (T& v : *numbers) v = static_cast<T>(stored(static_cast<double>(v)));
  if (rescaled)
    for (T& v : *numbers) v = static_cast<T>(std::ldexp(v, -static_cast<int>(block / rescale_every_)));
  return {shape_of(t), numbers->data(), numbers};
}

template class binder<float>;
template class binder<double>;

}  // namespace alphaform

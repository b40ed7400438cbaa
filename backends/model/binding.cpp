#include <fmt/core.h>
#include <fmt/ranges.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/backends/model/binding.hpp>
#include <cmath>
#include <set>

namespace alphaform {

std::vector<std::string_view> parameters_of(const expr& e) {
  std::set<std::string_view> names;
  any_of(e.g, e.root, [&](const node& n) {
    if (n.is<terms::parameter>() || (n.is<terms::attend>() && !n.id.empty())) names.insert(n.id);
    return false;
  });
  return {names.begin(), names.end()};
}

const family& family_of(const checkpoint& file) {
  const nlohmann::json& config = file.config();
  const bool typed = config.is_object() && config.contains("model_type") && config["model_type"].is_string();
  const std::string type = typed ? config["model_type"].get<std::string>() : "";
  std::set<std::string> known;
  for (const family& f : families) {
    if (f.model_type == type && (f.marker.empty() ? typed : file.find(f.marker) != nullptr)) return f;
    if (!f.model_type.empty()) known.insert(fmt::format("'{}'", f.model_type));
  }
  if (!typed)
    throw user_error(
        fmt::format("{} has no config.json with a model_type, which says how to read its tensors, and their names are "
                    "none that are known without it; known are {}",
                    quote_path(file.path()), fmt::join(known, ", ")));
  throw user_error(fmt::format("{} is a model of type '{}', which cannot be loaded; known are {}",
                               quote_path(file.path()), type, fmt::join(known, ", ")));
}

namespace {

void replace(std::string& s, std::string_view what, std::size_t by) {
  if (const auto at = s.find(what); at != std::string::npos) s.replace(at, what.size(), std::to_string(by));
}

/// The parts of "a|b".
std::vector<std::string_view> alternatives(std::string_view all) {
  std::vector<std::string_view> parts;
  while (!all.empty()) {
    parts.push_back(all.substr(0, all.find('|')));
    all.remove_prefix(std::min(all.size(), parts.back().size() + 1));
  }
  return parts;
}

void check_requirements(const checkpoint& file, const family& f) {
  const facts model(file, "", "", 0, 0);
  for (const requirement& r : f.required) {
    const nlohmann::json* found = model.at(r.key);
    if (found == nullptr) continue;
    const std::string value = found->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    bool fits = false;
    for (const std::string_view v : alternatives(r.values)) fits |= v == value;
    if (!fits)
      throw user_error(fmt::format("config.json: {} is {}, but models of type '{}' can be loaded only with {}",
                                   alternatives(r.key).front(), quote(value), f.model_type, r.values));
  }
}

void check_agreements(const facts& model, const family& f) {
  for (const agreement& a : f.stated) {
    const nlohmann::json* said = model.at(a.key);
    if (said == nullptr || !(said->is_boolean() || said->is_number())) continue;
    const double number = said->is_boolean() ? (said->get<bool>() ? 1 : 0) : said->get<double>();
    const auto found = static_cast<double>(a.found(model));
    if (number == found) continue;
    throw user_error(said->is_boolean()
                         ? fmt::format("config.json: {} is {}, but the tensors of block {} say otherwise", a.key,
                                       said->get<bool>(), model.block())
                         : fmt::format("config.json: {} is {}, but by the tensors of block {} it is {}", a.key, number,
                                       model.block(), found));
  }
}

/// A filter or a bias that is missing beside its kin would pass for one that the model does not have.
void check_companies(const facts& model, const family& f) {
  for (const company& c : f.together) {
    const auto held = [&](std::string_view name) { return model.holds(name); };
    const auto missing = std::find_if_not(c.begin(), c.end(), held), there = std::find_if(c.begin(), c.end(), held);
    if (missing != c.end() && there != c.end())
      throw user_error(fmt::format(
          "block {} has the tensor '{}', but not '{}': it has all of these or none, so the file is incomplete",
          model.block(), *there, *missing));
  }
}

std::vector<axes> single_axes(axes some) {
  std::vector<axes> list;
  for (const axis_letter& l : axis_letters)
    if (some.contains(l.axis)) list.push_back(l.axis);
  return list;
}

std::string letters(const std::vector<axes>& list) {
  std::string text;
  for (const axes a : list)
    for (const axis_letter& l : axis_letters)
      if (l.axis == a) text += l.letter;
  return text;
}

}  // namespace

/// The axes along which a parameter lies: of a matrix `each`, rows and columns; otherwise all are rows, but for taps.
template <class T>
struct binder<T>::place final {
  axes each = no_axes, rows = no_axes, columns = no_axes;
  bool is_matrix = false;

  static void collect(const expr& e, std::map<std::string_view, place>& all) {
    for (node_index i = 0; i < e.g.size; ++i)
      if (e.g[i].template is<terms::parameter>()) {
        const axes has = e.g[i].to;
        all.try_emplace(e.g[i].id, place{no_axes, has - tap, has & tap, false});
      } else if (e.g[i].template is<terms::attend>() && !e.g[i].id.empty()) {
        all.try_emplace(e.g[i].id, place{});
      }
    for (node_index i = 0; i < e.g.size; ++i) {
      const node& n = e.g[i];
      if (!n.is<terms::mix>() || !e.g[n.a].template is<terms::parameter>()) continue;
      all[e.g[n.a].id] = place{e.g[n.a].to - (n.to | n.from), n.to, n.from, true};
    }
  }
  std::vector<axes> row_axes() const {
    std::vector<axes> list = single_axes(each);
    for (const axes a : single_axes(rows)) list.push_back(a);
    return list;
  }
  std::vector<axes> column_axes() const { return single_axes(columns); }
};

template <class T>
binder<T>::binder(const checkpoint& file, const family& f, const kernels<T>& backend)
    : file_(file), family_(f), backend_(backend), prefix_(f.prefix) {
  const nlohmann::json& config = file_.config();
  if (config.is_object() && config.contains("backbone_prefix") && config["backbone_prefix"].is_string())
    prefix_ = config["backbone_prefix"].get<std::string>();
  if (!prefix_.empty() && !prefix_.ends_with('.')) prefix_ += '.';
  check_requirements(file_, f);
  for (const stored_tensor& t : file_.tensors())
    if (std::find(t.shape.begin(), t.shape.end(), 0) != t.shape.end())
      throw user_error(fmt::format("the tensor '{}' is empty: one of its dimensions is 0", t.name));
  const auto holds_block = [&](std::size_t block) {
    const auto tensors = file_.tensors();
    for (const mixer_choice& c : f.mixers) {
      const std::string start = prefix_ + named(c.prefix, block);
      const auto at = std::lower_bound(tensors.begin(), tensors.end(), start,
                                       [](const stored_tensor& t, const std::string& name) { return t.name < name; });
      if (at != tensors.end() && at->name.starts_with(start)) return true;
    }
    return false;
  };
  while (holds_block(blocks_)) ++blocks_;
  if (blocks_ == 0)
    throw user_error(fmt::format("{} has no tensor '{}...': it holds no block of a model of type '{}'",
                                 quote_path(file_.path()), prefix_ + named(f.mixers[0].prefix, 0), f.model_type));
  const facts model = facts_of(0);
  for (const char* key : {"num_hidden_layers", "n_layer", "depth"}) {
    const double said = model.number(key, static_cast<double>(blocks_));
    if (said != static_cast<double>(blocks_))
      throw user_error(fmt::format(
          "config.json says {} {}, but {} holds {} blocks; the file is incomplete or belongs to another model", key,
          said, quote_path(file_.path()), blocks_));
  }
  if (!f.rescaled.empty()) {
    const double every = model.number("rescale_every", 0);
    if (!(every >= 0 && every <= 1e6) || every != std::floor(every))
      throw user_error(fmt::format("config.json: rescale_every is {}, which is no number of blocks", every));
    rescale_every_ = static_cast<std::size_t>(every);
  }
}

template <class T>
std::string binder<T>::named(std::string_view pattern, std::size_t block) const {
  std::string s(pattern);
  replace(s, "{i}", block);
  replace(s, "{n}", block + 1);
  return s;
}

template <class T>
facts binder<T>::facts_of(std::size_t block) const {
  // All mixers of a family lie under the same prefix.
  return facts(file_, prefix_, prefix_ + named(family_.mixers[0].prefix, block), block, blocks_);
}

template <class T>
const mixer_choice& binder<T>::mixer_of(std::size_t block) const {
  const facts f = facts_of(block);
  for (const mixer_choice& c : family_.mixers)
    if (c.when == nullptr || c.when(f)) return c;
  throw user_error(fmt::format("the mixer of block {} has a form that models of type '{}' are not loaded with", block,
                               family_.model_type));
}

template <class T>
parameter<T> binder<T>::tensor_named(const std::string& name) const {
  return placed_on(backend_, loaded(file_.at(name), 0));
}

template <class T>
void binder<T>::check_all_read() const {
  const auto is_expected = [this](std::string_view name) {
    return read_.contains(name) || name == family_.head || name == family_.head_bias ||
           std::any_of(family_.besides.begin(), family_.besides.end(),
                       [name](std::string_view part) { return name.find(part) != std::string_view::npos; });
  };
  std::string_view first;
  std::size_t count = 0;
  for (const stored_tensor& t : file_.tensors())
    if (!is_expected(t.name) && count++ == 0) first = t.name;
  if (count > 0)
    throw user_error(fmt::format(
        "{} holds {} that the format '{}' does not have, such as {}: the model is of another form, and what "
        "would be computed without it is not the model's",
        quote_path(file_.path()), count == 1 ? "a tensor" : fmt::format("{} tensors", count), family_.name,
        quote(first)));
}

template <class T>
bool binder<T>::may_miss(std::string_view name) const {
  return std::any_of(family_.optional.begin(), family_.optional.end(),
                     [name](std::string_view end) { return name.ends_with(end); });
}

template <class T>
environment<T> binder<T>::bind(std::span<const expr* const> expressions, std::string_view prefix,
                               std::size_t block) const {
  environment<T> env;
  std::map<std::string_view, place> places;
  for (const expr* e : expressions) place::collect(*e, places);
  const facts model = facts_of(block);
  if (prefix == mixer_of(block).prefix) {
    check_agreements(model, family_);
    check_companies(model, family_);
    for (const axis_length& l : family_.lengths) {
      const std::size_t n = l.entries(model);
      if (n < 1) throw user_error("a tensor or config.json leaves an axis of the mixer without entries");
      at(env.lengths, slot(l.of)) = n;
    }
  }
  const std::string start = prefix_ + named(prefix, block);
  for (const auto& [name, where] : places) {
    std::optional<parameter<T>> p;
    for (const setting& s : family_.settings)
      if (s.parameter == name) {
        const array a = s.of(model);
        auto numbers = std::make_shared<std::vector<T>>(a.numbers.begin(), a.numbers.end());
        p = parameter<T>{a.shape, numbers->data(), numbers};
      }
    if (!p) p = piece(name, start, block, places, env.lengths);
    if (!p) p = found(name, start, block);
    if (p) env.parameters[std::string(name)] = placed_on(backend_, fitted(std::move(*p), where, env.lengths, name));
  }
  env.optional = [ends = family_.optional](std::string_view name) {
    return std::any_of(ends.begin(), ends.end(), [name](std::string_view end) { return name.ends_with(end); });
  };
  return env;
}

/// The tensor of a parameter, by its own name or another; nothing if it is not there and need not be.
template <class T>
std::optional<parameter<T>> binder<T>::found(std::string_view name, const std::string& prefix,
                                             std::size_t block) const {
  std::string_view names = name;
  array (*stored)(array, const facts&) = nullptr;
  for (const source& s : family_.sources)
    if (s.parameter == name) {
      names = s.tensor;
      stored = s.stored;
    }
  std::string first;
  for (const std::string_view alternative : alternatives(names)) {
    const std::string full = alternative.starts_with('/') ? prefix_ + named(alternative.substr(1), block)
                                                          : prefix + named(alternative, block);
    if (first.empty()) first = full;
    const stored_tensor* t = file_.find(full);
    if (t == nullptr) continue;
    if (stored == nullptr) return loaded(*t, block);
    read_.insert(t->name);
    const array a = stored({{t->shape.begin(), t->shape.end()}, values<double>(*t)}, facts_of(block));
    auto numbers = std::make_shared<std::vector<T>>(a.numbers.begin(), a.numbers.end());
    return parameter<T>{a.shape, numbers->data(), numbers};
  }
  if (may_miss(name)) return std::nullopt;
  file_.at(first);  // says what is missing, and what is near
  return std::nullopt;
}

/// The rows of a tensor that holds several parameters; nothing if the parameter is in none.
template <class T>
std::optional<parameter<T>> binder<T>::piece(std::string_view name, const std::string& prefix, std::size_t block,
                                             const std::map<std::string_view, place>& places,
                                             const extents& lengths) const {
  for (const split& s : family_.splits) {
    if (std::find(s.parameters.begin(), s.parameters.end(), name) == s.parameters.end()) continue;
    const stored_tensor* whole = file_.find(prefix + std::string(s.tensor));
    if (whole == nullptr && may_miss(name)) return std::nullopt;
    if (whole == nullptr) file_.at(prefix + std::string(s.tensor));
    std::size_t begin = 0, rows = 0, total = 0;
    for (const std::string_view part : s.parameters) {
      const auto where = places.find(part);
      if (where == places.end()) throw internal_error("a part of a packed tensor occurs in no expression");
      std::size_t length = 1;
      const std::size_t rows_there = whole->shape.empty() ? 0 : static_cast<std::size_t>(whole->shape[0]);
      for (const axes a : where->second.row_axes()) {
        const std::size_t n = std::max<std::size_t>(at(lengths, slot(a)), 1);
        if (n > rows_there || length > rows_there / n)
          throw user_error(
              fmt::format("'{}' has {} rows, fewer than its parts have together", whole->name, rows_there));
        length *= n;
      }
      if (part == name) {
        begin = total;
        rows = length;
      }
      total += length;
    }
    if (whole->shape.empty() || static_cast<std::size_t>(whole->shape[0]) != total)
      throw user_error(fmt::format("'{}' should have {} rows, as its parts do together, but has {}", whole->name, total,
                                   whole->shape.empty() ? 0 : whole->shape[0]));
    parameter<T> p = loaded(*whole, block);
    std::size_t row = 1;
    for (std::size_t k = 1; k < p.shape.size(); ++k) row *= p.shape[k];
    p.data += begin * row;
    p.shape[0] = rows;
    return p;
  }
  return std::nullopt;
}

/// The same numbers with the shape that the parameter's axes have: rows of several axes divide as these are long.
template <class T>
parameter<T> binder<T>::fitted(parameter<T> p, const place& where, const extents& lengths,
                               std::string_view name) const {
  const std::vector<axes> rows = where.row_axes(), columns = where.column_axes();
  std::size_t total = 1;
  for (const std::size_t n : p.shape) total *= n;
  const auto misfit = [&] {
    return user_error(fmt::format("the tensor of '{}' has the shape [{}], which does not divide into the axes [{}{}{}]",
                                  name, fmt::join(p.shape, ", "), letters(rows), columns.empty() ? "" : "|",
                                  letters(columns)));
  };
  std::size_t behind = 1;  // numbers in a row
  if (!columns.empty()) {
    if (p.shape.empty()) throw misfit();
    const std::size_t own = p.shape.size() == rows.size() + columns.size() ? columns.size() : 1;
    for (std::size_t k = 0; k < own; ++k) behind *= p.shape[p.shape.size() - 1 - k];
  }
  // As many dimensions as axes at most, apart from those of one entry: other numbers would have another meaning.
  const auto dimensions = std::count_if(p.shape.begin(), p.shape.end(), [](std::size_t n) { return n != 1; });
  const bool enough = columns.empty() || !where.is_matrix || p.shape.size() >= 2;
  if (static_cast<std::size_t>(dimensions) > rows.size() + columns.size() || !enough) throw misfit();
  std::vector<std::size_t> shape;
  const auto divide = [&](const std::vector<axes>& among, std::size_t entries, std::size_t first) {
    std::size_t known = 1, open = 0;
    for (const axes a : among) {
      const std::size_t n = among.size() == 1 ? 0 : a == part ? 2 : at(lengths, slot(a));
      if (n > 1 && known > entries / n) throw misfit();
      known *= std::max<std::size_t>(n, 1);
      open += n == 0 ? 1 : 0;
    }
    const bool as_stored = open > 1 && p.shape.size() == rows.size() + columns.size();
    if (!as_stored && (open > 1 || entries % known != 0 || (open == 0 && entries != known))) throw misfit();
    for (std::size_t k = 0; k < among.size(); ++k) {
      const std::size_t n = among.size() == 1 ? 0 : among[k] == part ? 2 : at(lengths, slot(among[k]));
      shape.push_back(as_stored ? p.shape[first + k] : n == 0 ? entries / known : n);
    }
  };
  if (behind == 0 || total % behind != 0) throw misfit();
  if (rows.empty() && total / behind != 1) throw misfit();
  divide(rows, total / behind, 0);
  divide(columns, behind, rows.size());
  if (rows.empty() && columns.empty()) shape.clear();
  p.shape = std::move(shape);
  return p;
}

template <class T>
parameter<T> binder<T>::loaded(const stored_tensor& t, std::size_t block) const {
  read_.insert(t.name);
  const bool rescaled = rescale_every_ > 0 && block >= rescale_every_ &&
                        std::any_of(family_.rescaled.begin(), family_.rescaled.end(),
                                    [&](std::string_view end) { return t.name.ends_with(end); });
  constexpr dtype own = std::is_same_v<T, float> ? dtype::f32 : dtype::f64;
  const std::vector<std::size_t> shape{t.shape.begin(), t.shape.end()};
  const auto address = reinterpret_cast<std::uintptr_t>(t.bytes.data());
  if (t.type == own && address % alignof(T) == 0 && !rescaled)
    return {shape, reinterpret_cast<const T*>(t.bytes.data()), std::make_shared<checkpoint>(file_)};
  auto numbers = std::make_shared<std::vector<T>>(values<T>(t));
  if (rescaled)
    for (T& v : *numbers) v = static_cast<T>(std::ldexp(v, -static_cast<int>(block / rescale_every_)));
  return {shape, numbers->data(), numbers};
}

template class binder<float>;
template class binder<double>;

}  // namespace alphaform

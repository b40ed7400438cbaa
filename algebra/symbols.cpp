#include <algorithm>
#include <alphaform/algebra/symbols.hpp>

namespace alphaform {
namespace {

void append(std::string& shape, std::string_view letter) { shape += (shape.empty() ? "" : ", ") + std::string(letter); }
std::string bracketed(bool per_token, axes a) {
  std::string shape;
  if (per_token) append(shape, "T");
  for (const axis_letter& l : axis_letters)
    if (a.contains(l.axis)) append(shape, l.letter);
  return "[" + shape + "]";
}

std::vector<std::string_view> inputs_of(const term_view& v) {
  std::vector<std::string_view> names;
  for (const node_index i : parts_of(v))
    if (v[i].is<terms::input>()) names.push_back(v[i].id);
  std::sort(names.begin(), names.end());
  return names;
}

/// A weight is [to, from], which only the Mix that uses the parameter knows; others, filters too, have their axes in
/// memory order.
std::string parameter_shape(const term_view& v, node_index i, std::span<const node_index> parts) {
  for (const node_index k : parts) {
    if (v[k].a != i) continue;
    if (!v[k].is<terms::mix>()) continue;
    std::string shape;
    for (const axes side : {v[k].to, v[k].from})
      for (const axis_letter& l : axis_letters)
        if (side.contains(l.axis)) append(shape, l.letter);
    return "[" + shape + "]";
  }
  return v[i].to == no_axes ? "one number" : bracketed(false, v[i].to);
}

std::string shape_of(const term_view& v, node_index i, bool per_token, std::span<const node_index> parts) {
  const node& n = v[i];
  if (n.is<terms::parameter>()) return parameter_shape(v, i, parts);
  if (n.is_stream() && !per_token && n.to == no_axes) return "one number";
  if (n.is_stream()) return bracketed(per_token, n.to);
  return bracketed(true, n.from) + " → " + bracketed(true, n.to);
}

}  // namespace

std::vector<symbol> symbols_of(const term_view& v) {
  const std::vector<node_index> parts = parts_of(v);
  std::vector<symbol> symbols;
  const auto add = [&](node_index i, std::string_view name, symbol_kind kind) {
    auto inputs = inputs_of(v.at(i));
    const bool per_token = !inputs.empty() || (v[i].is_stream() && occurs(v.at(i), [](const node& n) {
                                                 return n.is<terms::scan>();  // counts tokens
                                               }));
    symbols.push_back(
        {name, kind, i, term_table[v[i].term].is, v[i].to, shape_of(v, i, per_token, parts), std::move(inputs)});
  };
  for (const node_index i : parts)
    if (v[i].is<terms::input>()) add(i, v[i].id, symbol_kind::input);
  for (const node_index i : parts)
    if (!v.labels[i].empty()) add(i, v.labels[i], symbol_kind::label);
  for (const node_index i : parts)
    if (v[i].is<terms::parameter>()) add(i, v[i].id, symbol_kind::parameter);
  return symbols;
}

std::string controlled_by(const symbol& s) {
  if (s.inputs.empty() && s.is == sort::stream && s.shape.starts_with("[T")) return "the place of the token";
  if (s.inputs.empty()) return s.kind == symbol_kind::parameter ? "parameter" : "parameters only";
  std::string names;
  for (std::size_t k = 0; k < s.inputs.size(); ++k)
    names += (k == 0 ? "" : k + 1 == s.inputs.size() ? " and " : ", ") + std::string(s.inputs[k]);
  return s.kind == symbol_kind::input ? "input stream" : "the token, through " + names;
}

}  // namespace alphaform

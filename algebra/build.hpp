// Untyped constructors of terms. Declarations use them through the typed veneer of language.hpp, rules use them
// directly.
#pragma once
#include <alphaform/algebra/infer.hpp>

namespace alphaform::build {

template <class Term>
constexpr expr leaf(std::string_view id = {}, axes to = {}, axes from = {}) {
  expr e;
  e.root = e.g.put({.term = term_code<Term>, .to = to, .from = from, .id = id});
  return e;
}

template <class Term>
constexpr expr with(const expr& a, code function = no_function) {
  expr e;
  const node_index i = e.g.take(a.g, a.root);
  e.root = e.g.put(inferred(e.g, {.term = term_code<Term>, .function = function, .a = i}));
  return e;
}

template <class Term>
constexpr expr with(const expr& a, const expr& b) {
  expr e;
  const node_index i = e.g.take(a.g, a.root), j = e.g.take(b.g, b.root);
  e.root = e.g.put(inferred(e.g, {.term = term_code<Term>, .a = i, .b = j}));
  return e;
}

/// W over one axis: consumes `from`, makes `to`.
constexpr expr mix(const expr& weight, axes to, axes from) {
  expr e;
  const node_index i = e.g.take(weight.g, weight.root);
  e.root = e.g.put({.term = term_code<terms::mix>, .to = to, .from = from, .a = i});
  return e;
}

/// 1 / (entries of a stream along some axes).
constexpr expr inverse_size(const expr& of, axes along) {
  expr e;
  const node_index i = e.g.take(of.g, of.root);
  e.root = e.g.put({.term = term_code<terms::inverse_size>, .from = along, .a = i});
  return e;
}

template <class Function>
constexpr expr call(const expr& a) {
  return with<terms::function>(a, function_code<Function>);
}

}  // namespace alphaform::build

// Untyped constructors of terms. Declarations use them through the typed veneer of language.hpp, rules use them
// directly.
#pragma once
#include <alphaform/algebra/infer.hpp>

namespace alphaform::build {

template <class Term, std::size_t N = 160>
constexpr term_in<N> leaf(std::string_view id = {}, axes to = {}, axes from = {}) {
  term_in<N> e;
  e.root = e.g.put({.term = term_code<Term>, .to = to, .from = from, .id = id});
  return e;
}

template <class Term, std::size_t N>
constexpr term_in<N> with(const term_in<N>& a, code function = no_function) {
  term_in<N> e = a;
  e.root = e.g.put(inferred(e.g, {.term = term_code<Term>, .function = function, .a = a.root}));
  return e;
}

template <class Term, std::size_t N>
constexpr term_in<N> with(const term_in<N>& a, const term_in<N>& b, std::string_view id = {}) {
  term_in<N> e = a;
  const node_index j = e.g.take(b.g, b.root);
  e.root = e.g.put(inferred(e.g, {.term = term_code<Term>, .a = a.root, .b = j, .id = id}));
  return e;
}

/// W over one axis: consumes `from`, makes `to`. A parameter becomes a matrix [to, from].
template <std::size_t N>
constexpr term_in<N> mix(const term_in<N>& weight, axes to, axes from, std::string_view symbol = {}) {
  term_in<N> e;
  node_index i = absent;
  if (weight.top().template is<terms::parameter>()) {
    node w = weight.top();
    w.from = from;
    i = e.g.put(w);
  } else {
    i = e.g.take(weight.g, weight.root);
  }
  e.root = e.g.put({.term = term_code<terms::mix>, .to = to, .from = from, .a = i, .id = symbol});
  return e;
}

/// 1 / (entries of a stream along some axes).
template <std::size_t N>
constexpr term_in<N> inverse_size(const term_in<N>& of, axes along) {
  term_in<N> e = of;
  e.root = e.g.put({.term = term_code<terms::inverse_size>, .from = along, .a = of.root});
  return e;
}

template <class Function, std::size_t N>
constexpr term_in<N> call(const term_in<N>& a) {
  return with<terms::function>(a, function_code<Function>);
}

}  // namespace alphaform::build

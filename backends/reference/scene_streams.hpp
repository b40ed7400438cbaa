// What every stream is by definition, for the dense witness.
#pragma once
#include <algorithm>
#include <alphaform/backends/reference/scene.hpp>

namespace alphaform::reference {

struct stream_value final {
  const scene& s;
  const node& n;

  template <class Entry>
  array filled(axes has, Entry entry) const {
    array y{VectorXd(s.space.size(has)), has};
    const Index width = s.space.width(has);
    for (Index t = 0; t < s.space.sizes.tokens; ++t)
      for (Index k = 0; k < width; ++k) y.x[t * width + k] = entry(t, k);
    return y;
  }
  array constant(double c) const {
    return filled(n.to, [c](Index, Index) { return c; });
  }
  template <class F>
  array pairwise(F f) const {
    const array a = s.stream(n.a), b = s.stream(n.b);
    const axes has = a.has | b.has;
    return {s.space.repeated(a.x, a.has, has).binaryExpr(s.space.repeated(b.x, b.has, has), f), has};
  }
  /// p_t = max(p_{t-1} + a_t, b_t), before or after token t.
  array peaks(bool before) const {
    const array a = s.stream(n.a), b = s.stream(n.b);
    const axes has = a.has | b.has;
    const VectorXd step = s.space.repeated(a.x, a.has, has), key = s.space.repeated(b.x, b.has, has);
    const Index width = s.space.width(has);
    array y{VectorXd(step.size()), has};
    for (Index k = 0; k < width; ++k) {
      double peak = -1e38;
      for (Index at = k; at < step.size(); at += width) {
        const double prior = peak;
        peak = std::max(prior + step[at], key[at]);
        y.x[at] = before ? prior : peak;
      }
    }
    return y;
  }

  array operator()(terms::input) const {
    return filled(n.to, [this](Index t, Index k) { return uniform(n.id, t, k, s.seed); });
  }
  array operator()(terms::parameter) const {
    return filled(n.to, [this](Index, Index k) { return s.parameter(n.id, -1, k); });
  }
  array operator()(terms::one) const { return constant(1); }
  array operator()(terms::nothing) const { return constant(0); }
  array operator()(terms::inverse_size) const { return constant(1.0 / static_cast<double>(s.space.width(n.from))); }
  array operator()(terms::function) const {
    const array a = s.stream(n.a);
    return {a.x.unaryExpr(function_values[n.function]), a.has};
  }
  array operator()(terms::times) const {
    return pairwise([](double a, double b) { return a * b; });
  }
  array operator()(terms::plus) const {
    return pairwise([](double a, double b) { return a + b; });
  }
  array operator()(terms::larger) const {
    return pairwise([](double a, double b) { return std::max(a, b); });
  }
  array operator()(terms::applied) const {
    array a = s.stream(n.b);
    if (s.v[n.b].is<terms::nothing>()) {  // 0 has whatever axes its place wants
      const axes wanted = s.v[n.a].from | a.has;
      a = {s.space.repeated(a.x, a.has, wanted), wanted};
    }
    const linear_map p = s.operation(n.a, a.has);
    return {p.m * a.x, p.to};
  }
  array operator()(terms::peak) const { return peaks(false); }
  array operator()(terms::prior_peak) const { return peaks(true); }
  /// R(s) = s - F(s) x
  array operator()(terms::remainder) const {
    array y = s.stream(n.a);
    for (const node_index i : parts_of(s.v.at(n.a)))
      if (is_value_input(s.v[i])) y.x -= s.along_value_path(n.a).m * s.stream(i).x;
    return y;
  }
  array operator()(terms::any_stream) const { throw internal_error("a symbol of a pattern has no value"); }
  array operator()(terms::ones_for) const { throw internal_error("a symbol of a pattern has no value"); }
  template <class Term>
  requires(Term::is == sort::operation) array operator()(Term) const {
    throw internal_error("an operator has no value: ask the witness for its matrix");
  }
};

}  // namespace alphaform::reference

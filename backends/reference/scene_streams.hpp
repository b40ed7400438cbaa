// What every stream is by definition, for the dense witness.
#pragma once
#include <algorithm>
#include <alphaform/backends/reference/scene.hpp>
#include <charconv>

namespace alphaform::reference {

template <class S>
struct stream_value final {
  const scene<S>& s;
  const node& n;

  template <class Entry>
  array<S> filled(axes has, Entry entry) const {
    array<S> y{vector<S>(s.space.size(has)), has};
    const Index width = s.space.width(has);
    for (Index t = 0; t < s.space.sizes.tokens; ++t)
      for (Index k = 0; k < width; ++k) y.x[t * width + k] = entry(t, k);
    return y;
  }
  array<S> constant(double c) const {
    return filled(n.to, [c](Index, Index) { return c; });
  }
  template <class F>
  array<S> pairwise(F f) const {
    const array<S>&a = s.stream(n.a), &b = s.stream(n.b);
    const axes has = a.has | b.has;
    const vector<S> x = s.space.repeated(a.x, a.has, has), y = s.space.repeated(b.x, b.has, has);
    return {x.binaryExpr(y, f), has};
  }
  /// p_t = max(p_{t-1} + a_t, b_t), before or after token t.
  array<S> peaks(bool before) const {
    const array<S>&a = s.stream(n.a), &b = s.stream(n.b);
    const axes has = a.has | b.has;
    const vector<S> step = s.space.repeated(a.x, a.has, has), key = s.space.repeated(b.x, b.has, has);
    const Index width = s.space.width(has);
    array<S> y{vector<S>(step.size()), has};
    for (Index k = 0; k < width; ++k) {
      S peak = -1e38;
      for (Index at = k; at < step.size(); at += width) {
        const S prior = peak;
        const S goes_on = prior + step[at];
        peak = key[at] < goes_on ? goes_on : key[at];  // where they are equal, the key's derivative counts
        y.x[at] = before ? prior : peak;
      }
    }
    return y;
  }

  array<S> operator()(terms::input) const {
    return filled(n.to, [this](Index t, Index k) { return uniform(n.id, t, k, s.seed); });
  }
  array<S> operator()(terms::parameter) const {
    if (n.from != no_axes && n.from == n.to) throw internal_error("a square weight is no stream");
    return filled(n.to, [this](Index, Index k) { return parameter_entry(n.id, k, s.seed); });
  }
  array<S> operator()(terms::number) const {
    double c = 0;
    const auto [end, error] = std::from_chars(n.id.data(), n.id.data() + n.id.size(), c);
    if (error != std::errc{} || end != n.id.data() + n.id.size())
      throw internal_error("a constant is not written as a number");
    return constant(c);
  }
  array<S> operator()(terms::one) const { return constant(1); }
  array<S> operator()(terms::nothing) const { return constant(0); }
  array<S> operator()(terms::inverse_size) const { return constant(1.0 / static_cast<double>(s.space.width(n.from))); }
  array<S> operator()(terms::function) const {
    const array<S>& a = s.stream(n.a);
    return {a.x.unaryExpr(function_values<S>[n.function]), a.has};
  }
  array<S> operator()(terms::times) const {
    return pairwise([](const S& a, const S& b) { return a * b; });
  }
  array<S> operator()(terms::plus) const {
    return pairwise([](const S& a, const S& b) { return a + b; });
  }
  array<S> operator()(terms::larger) const {
    return pairwise([](const S& a, const S& b) { return std::max(a, b); });
  }
  array<S> operator()(terms::applied) const {
    const array<S>& a = s.stream(n.b);
    const streams<S> y = s.apply(n.a, a.x, a.has);
    return {y.m.col(0), y.has};
  }
  array<S> operator()(terms::held) const {
    array<S> a = s.stream(n.a);
    if constexpr (std::is_same_v<S, dual>)
      for (dual& entry : a.x) entry.d = 0;
    return a;
  }
  array<S> operator()(terms::peak) const { return peaks(false); }
  array<S> operator()(terms::prior_peak) const { return peaks(true); }
  /// R(s) = s - F(s) v
  array<S> operator()(terms::remainder) const {
    const array<S>& y = s.stream(n.a);
    const streams<S> path = s.along_value_path(n.a, n.b, s.stream(n.b).x);
    return {y.x - s.space.repeated(path.m, path.has, y.has).col(0), y.has};
  }
  array<S> operator()(terms::any_stream) const { throw internal_error("a symbol of a pattern has no value"); }
  array<S> operator()(terms::ones_for) const { throw internal_error("a symbol of a pattern has no value"); }
  template <class Term>
  requires(Term::is == sort::operation) array<S>
  operator()(Term) const { throw internal_error("an operator has no value: ask the witness for its matrix"); }
};

}  // namespace alphaform::reference

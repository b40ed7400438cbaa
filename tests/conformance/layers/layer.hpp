// A layer with random inputs and parameters, and what a definition of it as loops is compared with: the declaration's
// value, and H x + r.
#pragma once
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/attention.hpp>
#include <functional>
#include <string>

#include "../random_environment.hpp"
#include "array.hpp"

namespace alphaform::test::layers {

/// Two evaluations in double, some hundred roundings of 1e-16 apart; projections of the numbers are of order 1.
inline constexpr double tolerance = 1e-11;
/// Several groups, heads and channels, none as many as another; one token; filters longer than the text.
inline constexpr witness_sizes all_sizes[] = {{9, 3, 5, 4, 6, 7, 2}, {1, 3, 5, 4, 6, 7, 2}, {5, 2, 3, 6, 4, 8, 3}};

/// An expression's inputs and parameters.
class layer final {
 public:
  layer(const expr& e, const witness_sizes& s) : sizes(s), names_(s, 29) { names_.draw(e); }

  /// The numbers of that name, with the axes that the definition gives it: "TC" is [T, C]. A parameter [to, from] has
  /// the letters of both.
  array operator()(const std::string& name, std::string_view letters = "") const {
    CAPTURE(name);
    return array(shape(letters), names_.numbers(name));
  }
  double number(const std::string& name) const { return (*this)(name)[0]; }
  bool has(const std::string& name) const { return names_.has(name); }
  std::vector<index> shape(std::string_view letters) const {
    std::vector<index> s;
    for (const char l : letters) s.push_back(size_of(l, sizes));
    return s;
  }
  array zeros(std::string_view letters) const { return array(shape(letters)); }

  void set(const std::string& name, double value) {
    names_.change(name, [value](double) { return value; });
  }
  /// The i-th number becomes f(i).
  void set_each(const std::string& name, const std::function<double(index)>& f) {
    index i = 0;
    names_.change(name, [&](double) { return f(i++); });
  }
  environment<double> bound() const { return names_.bound(reference_kernels()); }

  witness_sizes sizes;
  index T = sizes.tokens, G = sizes.groups, H = sizes.heads, C = sizes.channels, N = sizes.states, R = sizes.ranks,
        K = sizes.taps;

 private:
  random_environment names_;
};

/// max |given - expected| / max |expected|, the given numbers repeated along axes of which they have one entry.
inline double miss(const tensor<double>& given, const array& expected, std::string_view letters) {
  constexpr std::string_view order = "TGHCNRKZ";
  REQUIRE(letters.size() == expected.shape().size());
  extents size = single;
  for (std::size_t k = 0; k < letters.size(); ++k)
    at(size, every_axis[order.find(letters[k])]) = static_cast<std::size_t>(expected.shape()[k]);
  for (const axis a : every_axis) {
    const bool fits = given.v.of(a) == at(size, a) || given.v.of(a) == 1;
    REQUIRE(fits);
  }
  double largest = 0, worst = 0;
  for (index i = 0; i < expected.size(); ++i) {
    std::size_t rest = static_cast<std::size_t>(i), place = 0;
    for (auto a = every_axis.rbegin(); a != every_axis.rend(); ++a) {
      place += rest % at(size, *a) * (given.v.of(*a) == 1 ? 0 : given.v.step(*a));
      rest /= at(size, *a);
    }
    largest = std::max(largest, std::abs(expected[i]));
    const double difference = std::abs(given.v.data[place] - expected[i]);
    worst = difference <= worst ? worst : difference;  // stays NaN
  }
  REQUIRE(largest > 1e-6);
  return worst / largest;
}

using definition = std::function<array(const layer&)>;
using preparation = std::function<void(layer&)>;

/// The attention of an architecture is what the definition makes of its inputs and parameters, a stream with the axes
/// `letters`.
inline void is_defined_by(
    const architecture& a, std::string_view letters, const definition& y, const preparation& prepare = [](layer&) {}) {
  CAPTURE(a.name);
  const bound_formula formula = formula_of(a.attention);
  for (const witness_sizes& s : all_sizes) {
    CAPTURE(s.tokens);
    layer l(a.attention, s);
    prepare(l);
    const array expected = y(l);
    implicit_attention<double> attention(formula, l.bound(), reference_kernels());
    CHECK(miss(attention.output(), expected, letters) <= tolerance);
    array sum(expected.shape());
    const tensor<double> along = attention.apply(attention.x()), rest = attention.remainder();
    REQUIRE(volume(along.v.size) == static_cast<std::size_t>(sum.size()));
    REQUIRE(volume(rest.v.size) == volume(along.v.size));
    for (index i = 0; i < sum.size(); ++i) sum[i] = along.v.data[i] + rest.v.data[i];
    double largest = 0, worst = 0;
    for (index i = 0; i < sum.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      const double difference = std::abs(sum[i] - expected[i]);
      worst = difference <= worst ? worst : difference;
    }
    CHECK(worst <= tolerance * largest);
  }
}
inline void is_defined_by(
    std::string_view name, std::string_view letters, const definition& y, const preparation& prepare = [](layer&) {}) {
  is_defined_by(find_architecture(name), letters, y, prepare);
}

/// The same for any stream.
inline void is_value(const expr& e, std::string_view letters, const definition& y) {
  workspace g;
  const node_index root = g.take(e.g, e.root);
  for (const witness_sizes& s : all_sizes) {
    CAPTURE(s.tokens);
    const layer l(e, s);
    const environment<double> env = l.bound();
    CHECK(miss(engine<double>(g, env, reference_kernels()).value(root), y(l), letters) <= tolerance);
  }
}
/// An input of an architecture is what the definition makes of "u".
inline void projects(std::string_view name, std::string_view input, std::string_view letters, const definition& y) {
  CAPTURE(name);
  CAPTURE(input);
  for (const projection& p : find_architecture(name).inputs)
    if (p.input == input) return is_value(p.of_u, letters, y);
  FAIL("no such input");
}

}  // namespace alphaform::test::layers

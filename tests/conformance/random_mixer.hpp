// A mixer with random parameters and inputs, made by walking its declaration: shapes follow from the axes of each name,
// numbers are those of the dense witness (uniform in [-1, 1] by name and place), so that any registered architecture
// can be compared with it.
#pragma once
#include <doctest/doctest.h>

#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/attention.hpp>
#include <alphaform/backends/reference/dense_space.hpp>
#include <array>
#include <cmath>
#include <vector>

namespace alphaform::test {

/// A parameter's value at which the recurrence forgets slowly, so that far tokens count.
struct slow_decay final {
  std::string_view architecture, parameter;
  double value;
};
inline constexpr std::array slow_decays{slow_decay{"mamba", "dt_proj.bias", -4}, slow_decay{"rwkv4", "time_decay", -5}};

class random_mixer final {
 public:
  random_mixer(const architecture& a, const witness_sizes& sizes, unsigned seed)
      : architecture_(a), space_{sizes}, formula_(formula_of(a.attention)), seed_(seed) {
    const term_view y(a.attention);
    for (const node_index i : parts_of(y)) {
      const node& n = y[i];
      if (n.is<terms::mix>()) draw_weight(y[n.a], space_.length(n.to), space_.length(n.from));
      if (n.is<terms::conv>()) draw_weight(y[n.a], space_.length(chan), sizes.taps);
      if (n.is<terms::input>()) draw_stream(n, sizes.tokens);
    }
    for (const node_index i : parts_of(y))
      if (y[i].is<terms::parameter>() && !arrays_.contains(std::string(y[i].id))) draw_stream(y[i], 1);
  }

  const architecture& of() const { return architecture_; }
  const bound_formula& formula() const { return formula_; }
  const witness_sizes& sizes() const { return space_.sizes; }
  std::size_t tokens() const { return static_cast<std::size_t>(space_.sizes.tokens); }
  std::size_t channels() const { return static_cast<std::size_t>(space_.sizes.channels); }
  const std::vector<double>& numbers(const std::string& name) const { return arrays_.at(name).numbers; }
  bool has(const std::string& name) const { return arrays_.contains(name); }

  /// Every number of a parameter or input becomes f of it.
  template <class F>
  random_mixer& change(const std::string& name, F f) {
    for (double& v : arrays_.at(name).numbers) v = f(v);
    return *this;
  }
  random_mixer& set(const std::string& name, double value) {
    return change(name, [value](double) { return value; });
  }
  random_mixer& slow() {
    for (const slow_decay& s : slow_decays)
      if (s.architecture == architecture_.name) set(std::string(s.parameter), s.value);
    return *this;
  }
  /// All numbers as float32 has them, so that backends of both precisions are given the same.
  random_mixer& rounded() {
    for (auto& [name, array] : arrays_)
      change(name, [](double v) { return static_cast<double>(static_cast<float>(v)); });
    return *this;
  }

  template <class T>
  implicit_attention<T> on(const kernels<T>& backend) const {
    environment<T> env;
    for (const auto& [name, a] : arrays_) {
      if (a.is_input) {
        const tensor<T> x = arena<T>(backend).make(a.size);
        std::transform(a.numbers.begin(), a.numbers.end(), x.v.data, [](double v) { return static_cast<T>(v); });
        env.inputs[name] = x;
      } else {
        auto numbers = std::make_shared<std::vector<T>>(a.numbers.begin(), a.numbers.end());
        env.parameters[name] = {a.shape, numbers->data(), numbers};
      }
    }
    return implicit_attention<T>(formula_, std::move(env), backend);
  }

 private:
  struct array final {
    std::vector<double> numbers;
    std::vector<std::size_t> shape;  // of a parameter
    extents size = single;           // of an input
    bool is_input = false;
  };

  void draw_weight(const node& n, Eigen::Index rows, Eigen::Index columns) {
    array a;
    a.shape = {static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)};
    for (Eigen::Index i = 0; i < rows; ++i)
      for (Eigen::Index j = 0; j < columns; ++j) a.numbers.push_back(reference::uniform(n.id, i, j, seed_));
    arrays_[std::string(n.id)] = std::move(a);
  }
  void draw_stream(const node& n, int tokens) {
    array a;
    a.is_input = n.is<terms::input>();
    at(a.size, axis::token) = static_cast<std::size_t>(tokens);
    for (const axis_letter& l : axis_letters)
      if (n.to.contains(l.axis)) {
        a.shape.push_back(static_cast<std::size_t>(space_.length(l.axis)));
        at(a.size, slot(l.axis)) = a.shape.back();
      }
    for (int t = 0; t < tokens; ++t)
      for (Eigen::Index k = 0; k < space_.width(n.to); ++k)
        a.numbers.push_back(reference::uniform(n.id, a.is_input ? t : -1, k, seed_));
    arrays_[std::string(n.id)] = std::move(a);
  }

  const architecture& architecture_;
  reference::dense_space space_;
  bound_formula formula_;
  unsigned seed_;
  std::map<std::string, array> arrays_;
};

/// The numbers of a stream or map over two of its axes, in double; all must be finite.
template <class T>
Eigen::MatrixXd as_matrix(const tensor<T>& x, axis rows, axis columns) {
  Eigen::MatrixXd m(x.v.of(rows), x.v.of(columns));
  for (std::size_t i = 0; i < x.v.of(rows); ++i)
    for (std::size_t j = 0; j < x.v.of(columns); ++j)
      m(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) =
          static_cast<double>(x.v.data[i * x.v.step(rows) + j * x.v.step(columns)]);
  REQUIRE(m.allFinite());
  return m;
}
/// A stream [T, C].
template <class T>
Eigen::MatrixXd as_stream(const tensor<T>& x) {
  return as_matrix(x, axis::token, axis::chan);
}
/// A map [T, column T].
template <class T>
Eigen::MatrixXd as_map(const tensor<T>& x) {
  return as_matrix(x, axis::token, axis::column);
}
/// Every channel's matrix.
template <class T>
std::vector<Eigen::MatrixXd> matrices(implicit_attention<T>& a) {
  std::vector<Eigen::MatrixXd> all;
  for (std::size_t c = 0; c < a.channels(); ++c) all.push_back(as_map(a.matrix(c)));
  return all;
}

}  // namespace alphaform::test

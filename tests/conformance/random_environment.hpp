// Random parameters and inputs for every name in an expression: shapes follow from the axes of each name, numbers are
// those of the dense witness (uniform in [-1, 1] by name and place), so that whatever evaluates the expression can be
// compared with it.
#pragma once
#include <alphaform/backends/engine/engine.hpp>
#include <alphaform/backends/reference/dense_space.hpp>
#include <vector>

namespace alphaform::test {

class random_environment final {
 public:
  random_environment(const witness_sizes& sizes, unsigned seed) : space_{sizes}, seed_(seed) {}

  /// Adds the names of an expression.
  random_environment& draw(const term_view& y) {
    for (const node_index i : parts_of(y)) {
      if (y[i].is<terms::input>()) draw_input(y[i]);
      if (y[i].is<terms::parameter>()) draw_parameter(y[i]);
    }
    for (const node_index i : parts_of(y)) {
      if (y[i].is<terms::permute>()) draw_order(y[y[i].a]);
      if (y[i].is<terms::attend>() && !y[i].id.empty())
        arrays_[std::string(y[i].id)] = {{static_cast<double>(reference::attention_window)}, {}};
      if (y[i].is<terms::mix>() && y[i].from.touches(y[i].to) && y[y[i].a].is<terms::parameter>()) draw_square(y, i);
    }
    return *this;
  }

  const witness_sizes& sizes() const { return space_.sizes; }
  const reference::dense_space& space() const { return space_; }
  const std::vector<double>& numbers(const std::string& name) const { return arrays_.at(name).numbers; }
  bool has(const std::string& name) const { return arrays_.contains(name); }

  /// Every number of a parameter or input becomes f of it.
  template <class F>
  void change(const std::string& name, F f) {
    for (double& v : arrays_.at(name).numbers) v = f(v);
  }
  /// All inputs become f of what they are.
  template <class F>
  void change_inputs(F f) {
    for (auto& [name, array] : arrays_)
      if (array.is_input) change(name, f);
  }
  /// All numbers as float32 has them, so that backends of both precisions are given the same.
  void round() {
    for (auto& [name, array] : arrays_)
      change(name, [](double v) { return static_cast<double>(static_cast<float>(v)); });
  }

  /// @param format  of the inputs
  template <class T>
  environment<T> bound(const kernels<T>& backend, number_format format = number_format::whole) const {
    environment<T> env;
    at(env.lengths, axis::group) = static_cast<std::size_t>(space_.sizes.groups);
    at(env.lengths, axis::head) = static_cast<std::size_t>(space_.sizes.heads);
    for (const auto& [name, a] : arrays_) {
      if (a.is_input) {
        env.inputs[name] = stored(std::vector<T>(a.numbers.begin(), a.numbers.end()), a.size, backend, format);
      } else {
        auto numbers = std::make_shared<std::vector<T>>(a.numbers.begin(), a.numbers.end());
        env.parameters[name] = {a.shape, numbers->data(), numbers};
      }
    }
    return env;
  }

 private:
  struct array final {
    std::vector<double> numbers;
    std::vector<std::size_t> shape;  // of a parameter
    extents size = single;           // of an input
    bool is_input = false;
  };

  void draw_parameter(const node& n) {
    array a;
    const bool square = n.from == n.to && n.to != no_axes;
    for (const axes part_of_shape : {square ? n.to : n.to - n.from, n.from})
      for (const axis_letter& l : axis_letters)
        if (part_of_shape.contains(l.axis)) a.shape.push_back(static_cast<std::size_t>(space_.length(l.axis)));
    a.numbers = reference::stored_parameter(space_, n, seed_);
    arrays_[std::string(n.id)] = std::move(a);
  }
  /// A matrix between streams that have an axis in common: rows and columns are those of the Mix.
  void draw_square(const term_view& y, node_index mix) {
    array a;
    const axes each = y[y[mix].a].to - (y[mix].to | y[mix].from);
    for (const axes side : {each, y[mix].to, y[mix].from})
      for (const axis_letter& l : axis_letters)
        if (side.contains(l.axis)) a.shape.push_back(static_cast<std::size_t>(space_.length(l.axis)));
    const std::string_view name = y[y[mix].a].id;
    for (Eigen::Index row = 0; row < space_.width(each) * space_.width(y[mix].to); ++row)
      for (Eigen::Index column = 0; column < space_.width(y[mix].from); ++column)
        a.numbers.push_back(reference::square_entry(name, row, column, seed_));
    arrays_[std::string(name)] = std::move(a);
  }
  void draw_order(const node& n) {
    array a;
    a.shape = {static_cast<std::size_t>(space_.sizes.tokens)};
    for (const Eigen::Index t : reference::token_order(n.id, space_.sizes.tokens, seed_))
      a.numbers.push_back(static_cast<double>(t));
    arrays_[std::string(n.id)] = std::move(a);
  }
  void draw_input(const node& n) {
    array a;
    a.is_input = true;
    at(a.size, axis::token) = static_cast<std::size_t>(space_.sizes.tokens);
    for (const axis_letter& l : axis_letters)
      if (n.to.contains(l.axis)) at(a.size, slot(l.axis)) = static_cast<std::size_t>(space_.length(l.axis));
    for (Eigen::Index t = 0; t < space_.sizes.tokens; ++t)
      for (Eigen::Index k = 0; k < space_.width(n.to); ++k) a.numbers.push_back(reference::uniform(n.id, t, k, seed_));
    arrays_[std::string(n.id)] = std::move(a);
  }

  reference::dense_space space_;
  unsigned seed_;
  std::map<std::string, array> arrays_;
};

}  // namespace alphaform::test

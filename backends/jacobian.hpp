// The true derivative of an expression on one text: J v forward and J' g backward with respect to any of its inputs and
// parameters, the implicit attention H in it, and the paths through what controls H. The operators come from the rules
// of the algebra, of any size; they are evaluated like every other operator.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

/// The derivative of one expression with respect to one input or parameter. Terms are places in the graph.
struct derivative_formula final {
  /// One way on which v changes y beside the value path: v changes the stream `control`, and that an operator.
  struct path final {
    node_index control = absent, operation = absent;
  };
  std::string_view name;
  node_index variable = absent;
  node_index full = absent;      ///< J
  node_index implicit = absent;  ///< H; `absent` where it was not asked for or is refused
  std::vector<path> paths{};     ///< J = H + their sum
};

/// Derivatives of one expression, in one graph.
struct bound_derivatives final {
  workspace g{};
  node_index output = absent;
  std::vector<derivative_formula> of{};      ///< several of one name where it occurs with several axes
  std::vector<std::string_view> left_out{};  ///< parameters that are somewhere a square matrix or an order

  /// All of this name; their sum is the derivative. @throws user_error when there is none, or only a part of it
  std::vector<const derivative_formula*> all_of(std::string_view name) const;
  /// @throws user_error as all_of, and when there are several
  const derivative_formula& with_respect_to(std::string_view name) const;
};

/// What is wanted beside J with respect to every input.
struct wanted_derivatives final {
  bool paths = false;       ///< H and the paths of every input
  bool parameters = false;  ///< J with respect to every parameter that is nowhere a square matrix or an order
};

/// @throws user_error naming the term that has no derivative
bound_derivatives derivatives_of(const term_view& y, wanted_derivatives = {});

/// The expression and its derivatives with everything that occurs in them bound.
template <class T>
class true_derivative final {
 public:
  /// @param formula  from derivatives_of, which must outlive this; @param env parameters and inputs
  true_derivative(const bound_derivatives& formula, environment<T> env, const kernels<T>& backend);
  true_derivative(const bound_derivatives&&, environment<T>, const kernels<T>&) = delete;
  true_derivative(const true_derivative&) = delete;
  true_derivative& operator=(const true_derivative&) = delete;

  /// y, stored along all of its axes.
  tensor<T> output();
  /// J v, the change of y with the input or parameter `name` along v: [T, axes of y]. A name that occurs with several
  /// axes has no v of one size and is refused, here and by `backward`.
  /// @param v  with the extents of the input, or the entries of the parameter on its axes and one token
  tensor<T> forward(std::string_view name, const tensor<T>& v);
  /// J' g, [T, axes of the input] or the parameter's entries on its axes. @param g as y
  tensor<T> backward(std::string_view name, const tensor<T>& g);
  /// J_parameter' g in the order in which the parameter is stored: the gradient of <g, y>, summed over all places.
  std::vector<T> gradient(std::string_view parameter, const tensor<T>& g);

  /// One operator of the formula, H or a path.
  tensor<T> forward(const derivative_formula&, node_index operation, const tensor<T>& v);
  tensor<T> backward(const derivative_formula&, node_index operation, const tensor<T>& g);

  const bound_derivatives& formula() const { return f_; }
  const environment<T>& env() const { return env_; }
  /// The most memory that these evaluations have used, beyond parameters and inputs.
  std::size_t peak_bytes() const { return engine_.count().peak; }
  /// What is kept for the next evaluation.
  std::size_t held_bytes() const { return engine_.count().now; }

 private:
  tensor<T> whole(const tensor<T>& x, const extents& size);
  extents size_of(node_index stream);

  const bound_derivatives& f_;
  environment<T> env_;
  const kernels<T>& backend_;
  engine<T> engine_;
};

}  // namespace alphaform

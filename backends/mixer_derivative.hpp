// The derivative of a whole mixer, mixer(u) = output(attention(inputs(u))), with respect to its input u: the chain rule
// through its three parts, each differentiated by the rules.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/backends/jacobian.hpp>

namespace alphaform {

/// Derivatives of the parts of a mixer.
struct mixer_formula final {
  struct projected final {
    std::string_view input;
    bound_derivatives of_u;
  };
  std::vector<projected> inputs;
  bound_derivatives attention, output;
};
/// @throws user_error naming the term that has no derivative
mixer_formula derivatives_of(const architecture&);

template <class T>
class mixer_derivative final {
 public:
  /// @param formula  must outlive this; @param parameters of the mixer, and inputs that are no functions of u
  /// @param u [T, D]
  mixer_derivative(const mixer_formula& formula, const environment<T>& parameters, const tensor<T>& u,
                   const kernels<T>& backend);
  mixer_derivative(const mixer_formula&&, const environment<T>&, const tensor<T>&, const kernels<T>&) = delete;

  tensor<T> output();                      ///< mixer(u), [T, D]
  tensor<T> forward(const tensor<T>& v);   ///< J v, [T, D]
  tensor<T> backward(const tensor<T>& g);  ///< J' g, [T, D]
  /// An input of the attention, and the gradient with respect to one, which is no function of u perhaps.
  const tensor<T>& input(std::string_view name) const { return given_.at(std::string(name)); }
  tensor<T> backward_to(std::string_view input, const tensor<T>& g);
  /// J' of an input as a function of u.
  tensor<T> backward_from(std::string_view input, const tensor<T>& g);
  /// H_u v with H_u = output H x: what the implicit attention alone passes on from u. Paths through other inputs than x
  /// and through controls are left out. @throws user_error when the value path is refused, or the mixer has no x
  tensor<T> implicit_forward(const tensor<T>& v);
  tensor<T> implicit_backward(const tensor<T>& g);

  std::size_t held_bytes() const;
  /// The derivative of the attention, on the inputs that u gives it.
  true_derivative<T>& attention() { return *attention_; }

 private:
  using derivative = std::unique_ptr<true_derivative<T>>;
  tensor<T> sum(const std::optional<tensor<T>>& a, const tensor<T>& b) const;

  /// H as an operator of the attention, and x as a stream of u.
  struct value_path final {
    const derivative_formula& h;
    true_derivative<T>& x;
  };
  value_path on_value_path() const;
  tensor<T> through_output(const tensor<T>& y);
  tensor<T> back_through_output(const tensor<T>& g);

  const mixer_formula& f_;
  const kernels<T>& backend_;
  std::map<std::string, tensor<T>, std::less<>> given_;
  std::vector<derivative> inputs_;
  derivative attention_, output_;
  extents stream_ = single;  // of y
};

}  // namespace alphaform

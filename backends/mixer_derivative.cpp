#include <fmt/core.h>

#include <alphaform/backends/mixer_derivative.hpp>

namespace alphaform {

namespace {
constexpr std::string_view of_mixer = "u", of_output = "y";
}

mixer_formula derivatives_of(const architecture& a) {
  mixer_formula f;
  for (const projection& p : a.inputs) f.inputs.push_back({p.input, derivatives_of(p.of_u)});
  f.attention = derivatives_of(stabilised(a.attention), {.paths = true});
  f.output = derivatives_of(a.output);
  return f;
}

template <class T>
mixer_derivative<T>::mixer_derivative(const mixer_formula& formula, const environment<T>& parameters,
                                      const tensor<T>& u, const kernels<T>& backend)
    : f_(formula), backend_(backend) {
  const auto on = [&](const bound_derivatives& f, std::string_view input, const tensor<T>& x) {
    environment<T> env = parameters;
    env.inputs.clear();
    env.inputs[std::string(input)] = x;
    return std::make_unique<true_derivative<T>>(f, std::move(env), backend);
  };
  environment<T> env = parameters;
  for (const mixer_formula::projected& p : f_.inputs) {
    inputs_.push_back(on(p.of_u, of_mixer, u));
    env.inputs[std::string(p.input)] = inputs_.back()->output();
  }
  given_ = env.inputs;
  attention_ = std::make_unique<true_derivative<T>>(f_.attention, std::move(env), backend);
  const tensor<T> y = attention_->output();
  stream_ = y.v.size;
  output_ = on(f_.output, of_output, heads_side_by_side(y));
}

template <class T>
tensor<T> mixer_derivative<T>::sum(const std::optional<tensor<T>>& a, const tensor<T>& b) const {
  if (!a) return b;
  const entered<T> on(backend_);
  const tensor<T> y = arena<T>(backend_).make(a->v.size);
  backend_.plus(*a, b, y);
  return y;
}

template <class T>
tensor<T> mixer_derivative<T>::output() {
  return output_->output();
}

template <class T>
std::size_t mixer_derivative<T>::held_bytes() const {
  std::size_t all = attention_->held_bytes() + output_->held_bytes();
  for (const derivative& input : inputs_) all += input->held_bytes();
  return all;
}

template <class T>
tensor<T> mixer_derivative<T>::through_output(const tensor<T>& y) {
  return output_->forward(of_output, heads_side_by_side(y));
}
template <class T>
tensor<T> mixer_derivative<T>::back_through_output(const tensor<T>& g) {
  return reshaped(output_->backward(of_output, g), stream_);
}

template <class T>
tensor<T> mixer_derivative<T>::forward(const tensor<T>& v) {
  std::optional<tensor<T>> y;
  for (std::size_t k = 0; k < inputs_.size(); ++k)
    y = sum(y, attention_->forward(f_.inputs[k].input, inputs_[k]->forward(of_mixer, v)));
  return through_output(*y);
}

template <class T>
tensor<T> mixer_derivative<T>::backward(const tensor<T>& g) {
  const tensor<T> back = back_through_output(g);
  std::optional<tensor<T>> y;
  for (std::size_t k = 0; k < inputs_.size(); ++k)
    y = sum(y, inputs_[k]->backward(of_mixer, attention_->backward(f_.inputs[k].input, back)));
  return *y;
}

template <class T>
tensor<T> mixer_derivative<T>::backward_to(std::string_view input, const tensor<T>& g) {
  return attention_->backward(input, back_through_output(g));
}
template <class T>
tensor<T> mixer_derivative<T>::backward_from(std::string_view input, const tensor<T>& g) {
  for (std::size_t k = 0; k < inputs_.size(); ++k)
    if (f_.inputs[k].input == input) return inputs_[k]->backward(of_mixer, g);
  throw internal_error("this input is no function of u");
}

template <class T>
typename mixer_derivative<T>::value_path mixer_derivative<T>::on_value_path() const {
  for (std::size_t k = 0; k < inputs_.size(); ++k) {
    if (f_.inputs[k].input != value_input) continue;
    const derivative_formula& h = f_.attention.with_respect_to(value_input);
    if (h.implicit == absent)
      throw user_error(
          fmt::format("this mixer has no implicit attention: its value path from '{}' is refused", value_input));
    return {h, *inputs_[k]};
  }
  throw user_error(fmt::format("this mixer has no implicit attention: it has no input '{}', where a value path starts",
                               value_input));
}

template <class T>
tensor<T> mixer_derivative<T>::implicit_forward(const tensor<T>& v) {
  const value_path p = on_value_path();
  return through_output(attention_->forward(p.h, p.h.implicit, p.x.forward(of_mixer, v)));
}

template <class T>
tensor<T> mixer_derivative<T>::implicit_backward(const tensor<T>& g) {
  const value_path p = on_value_path();
  return p.x.backward(of_mixer, attention_->backward(p.h, p.h.implicit, back_through_output(g)));
}

template class mixer_derivative<float>;
template class mixer_derivative<double>;

}  // namespace alphaform

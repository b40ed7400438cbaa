#include <alphaform/backends/continued.hpp>

namespace alphaform {

template <class T>
typename continued_attention<T>::stretch continued_attention<T>::next(const environment<T>& given) {
  const environment<T> env = placed_on(backend_, given);
  const entered<T> on(backend_);
  const arena<T> memory(backend_);
  const auto found = env.inputs.find(value_input);
  if (found == env.inputs.end()) throw user_error("nothing is bound to the input 'x', at which the value path starts");
  const tensor<T>& x = found->second;
  carried<T> before = formula_.copied(memory, backend_);
  for (carried<T>* c : {&output_, &formula_, &remainder_, &before}) c->rewind();

  const tensor<T> y = engine<T>(f_.g, env, backend_, &output_).value(f_.output);
  extents size = y.v.size;
  const auto whole = [&](const tensor<T>& t) {
    const tensor<T> z = memory.make(size);
    backend_.copy(t, z);
    return z;
  };
  // With a state an operator is affine: what it makes of 0 is the state's part.
  const tensor<T> nothing = memory.filled(x.v.size, 0);
  const tensor<T> of_state = whole(engine<T>(f_.g, env, backend_, &before).apply(f_.formula, nothing));
  const tensor<T> Hx = whole(engine<T>(f_.g, env, backend_, &formula_).apply(f_.formula, x));
  const tensor<T> r = whole(engine<T>(f_.g, env, backend_, &remainder_).value(f_.remainder));
  backend_.plus(r, of_state, r);
  const tensor<T> minus = memory.make(size);
  backend_.map(function_code<functions::neg>, of_state, minus);
  backend_.plus(Hx, minus, Hx);
  return {whole(y), Hx, r};
}

template class continued_attention<float>;
template class continued_attention<double>;

}  // namespace alphaform

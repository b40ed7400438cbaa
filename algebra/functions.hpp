// The pointwise functions of the language. A new one is a file in functions/ and a place in this tuple.
#pragma once
#include <alphaform/algebra/functions/abs.hpp>
#include <alphaform/algebra/functions/circle.hpp>
#include <alphaform/algebra/functions/complement.hpp>
#include <alphaform/algebra/functions/exp.hpp>
#include <alphaform/algebra/functions/expm1.hpp>
#include <alphaform/algebra/functions/log.hpp>
#include <alphaform/algebra/functions/neg.hpp>
#include <alphaform/algebra/functions/reciprocal.hpp>
#include <alphaform/algebra/functions/relu.hpp>
#include <alphaform/algebra/functions/rsqrt.hpp>
#include <alphaform/algebra/functions/sigmoid.hpp>
#include <alphaform/algebra/functions/sign.hpp>
#include <alphaform/algebra/functions/silu.hpp>
#include <alphaform/algebra/functions/softplus.hpp>
#include <alphaform/algebra/functions/sqrt.hpp>
#include <alphaform/algebra/functions/square.hpp>
#include <alphaform/algebra/functions/step.hpp>
#include <alphaform/algebra/functions/tanh.hpp>
#include <alphaform/algebra/vocabulary.hpp>

namespace alphaform {

inline constexpr auto functions_tuple = hana::make_tuple(
    functions::exp{}, functions::neg{}, functions::reciprocal{}, functions::complement{}, functions::square{},
    functions::rsqrt{}, functions::relu{}, functions::softplus{}, functions::sigmoid{}, functions::silu{},
    functions::step{}, functions::sign{}, functions::abs{}, functions::tanh{}, functions::log{}, functions::cos{},
    functions::sin{}, functions::sqrt{}, functions::expm1{});

struct function_row final {
  std::string_view name, meaning;
  layout text, latex, mathml;
};
inline constexpr auto function_table = tabulate(functions_tuple, [](auto f) {
  return function_row{decltype(f)::name, decltype(f)::meaning, decltype(f)::text, decltype(f)::latex,
                      decltype(f)::mathml};
});

inline constexpr code no_function = 255;
template <class Function>
inline constexpr code function_code = place<Function>(functions_tuple);

}  // namespace alphaform

// The three notations in which a term is written, one row of strings each. The recursion over terms is in print.cpp and
// is the same for all.
#pragma once
#include <alphaform/algebra/functions.hpp>
#include <string>

namespace alphaform {

enum class notation : std::uint8_t { text, latex, mathml };

struct style final {
  layout function_row::*function;             ///< where a function's layout for this notation is
  std::string_view comma;                     ///< between arguments
  std::string_view plus, minus, times, then;  ///< x + y, x - y, x y pointwise, P Q
  std::string_view ones, over_axis;           ///< the stream of ones; 1 / (entries of the axis @)
  std::string_view word;                      ///< the name of an operator, @
  std::string_view on_axes;                   ///< an operator's name # on the axes @
  std::string_view axis, to;                  ///< letters of axes, @; from one stream's axes to another's
  std::string_view respect;                   ///< a marker's name # with respect to @
  std::string_view transposed;                ///< the transpose of #
  std::string (*symbol)(std::string_view);    ///< an input or a label
  std::string (*parameter)(std::string_view);
  std::string (*number)(std::string_view);     ///< decimals
  std::string (*bracket)(const std::string&);  ///< (x), large enough for x
  std::string (*group)(const std::string&);    ///< x as one argument of a form
};

const style& style_of(notation n);

/// "Delta" as Δ, \Delta, <mi>Δ</mi>; any other name as it is.
std::string symbol_text(std::string_view name, notation n);

/// `form` with every @ and # replaced.
std::string filled(std::string_view form, const std::string& at, const std::string& hash);

}  // namespace alphaform

// How a pointwise function is written in one notation: a form in which @ is the argument as it is and # the argument in
// parentheses if it binds less tightly than the form wants.
#pragma once
#include <cstdint>
#include <string_view>

namespace alphaform {

/// How tightly a printed term binds, loosest first.
enum class level : std::uint8_t { sum, product, power, atom };

struct layout final {
  std::string_view form;
  level is = level::atom;     ///< of the whole
  level wants = level::atom;  ///< of the argument, where the form says #
};

}  // namespace alphaform

// The symbols that a printed term uses: what each stands for, its shape, and who controls it.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <string>

namespace alphaform {

enum class symbol_kind : std::uint8_t { input, label, parameter };

struct symbol final {
  std::string_view name;  ///< as declared: "x", "Delta", "conv1d.weight"
  symbol_kind kind;
  node_index definition;  ///< the term that it names
  sort is;
  axes has;                              ///< of a stream; what an operator makes
  std::string shape;                     ///< "[T, C, N]"; K is the length of a filter
  std::vector<std::string_view> inputs;  ///< the input streams that control it; none for what only parameters control
};

/// Every input, labelled subterm and parameter that occurs in the term: inputs first, then labels so that each uses
/// only those before it, then parameters.
std::vector<symbol> symbols_of(const term_view& v);

/// "parameter", or "the token, through x and z".
std::string controlled_by(const symbol& s);

}  // namespace alphaform

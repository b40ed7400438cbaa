// What tells architectures apart, read off their derivations: decay, read, normaliser, remainder, state. Every entry is
// computed from the declaration; none is written by hand.
#pragma once
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/notation.hpp>
#include <alphaform/algebra/replay.hpp>
#include <alphaform/architectures/architecture.hpp>
#include <string>
#include <vector>

namespace alphaform {

/// A factor of H: its role, a text that is the same for factors of one kind, and itself as a formula.
struct factor_trait final {
  role is;
  std::string kind, formula;
  std::string note;  ///< what the formula does not show
};

struct architecture_traits final {
  const architecture* of = nullptr;
  derivation derived{};
  attention_properties properties{};
  std::string formula;     ///< H with one letter for each role: G (α + D) Z M
  std::string memory;      ///< "recurrence", "attention" or "filter"
  std::string decay;       ///< "per head, from the token", "per channel, fixed" ...
  std::string read;        ///< "own token too", or "earlier tokens, own by a bonus"
  std::string normaliser;  ///< "row sums", "RMS over C" ...; empty if none
  std::string remainder;   ///< the parameters and streams that r is made of; empty if r = 0
  std::string state;       ///< numbers carried from token to token
  std::string scan;        ///< "parallel", "token by token"; empty without a recurrence
  std::vector<factor_trait> factors;
};

/// @throws user_error when the derivation was refused
architecture_traits traits_of(const architecture&, notation);

/// The letter of a role in `formula`: M, Z, G, α ...
std::string letter_of(role, notation);

}  // namespace alphaform

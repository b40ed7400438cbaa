// The scan law of a recurrence, computed on samples: is the step h -> step(h) affine, so that steps are pairs (P, u);
// is their composition (P2, u2) after (P1, u1) = (P2 P1, P2 u1 + u2) associative, what is neutral, do steps commute,
// and is a composed pair as small as a single one? A parallel scan may be used only where all of this holds.
#pragma once
#include <alphaform/algebra/composition.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <string>
#include <vector>

namespace alphaform {

struct scan_law final {
  double affine = 0;         ///< |step(h) - (P h + step(0))| over |step(h)|
  double associative = 0;    ///< |(c b) a - c (b a)| over |c b a|, of transitions and inputs
  double neutral = 0;        ///< |(1, 0) a - a| and |a (1, 0) - a|
  double commutator = 0;     ///< |b a - a b| over |b a|: 0 only for recurrences whose order does not matter
  double sequential = 0;     ///< the pairs of all tokens, composed as a tree, against the recurrence
  std::size_t numbers = 0;   ///< entries of P for one state entry that are not always 0
  std::size_t composed = 0;  ///< the same of a product of transitions
  bool mixes_state = false;  ///< the transition is a matrix over the state, not a number for each entry

  /// Sentence that says why there is no parallel scan; empty if there is one.
  std::string refusal() const;
  bool parallel() const { return refusal().empty(); }
};

/// The law of a step, a stream of the input h[t-1] with the axes A, on the witness's numbers.
/// @throws user_error when the step cannot be differentiated
scan_law law_of(const expr& step, const witness& w);

/// The law of Scan(P), by its transition P.
scan_law law_of_transition(const term_view& transition, const witness& w);

/// Every Scan in a term, and its law on the witness's numbers.
struct scan_and_law final {
  node_index scan;
  scan_law law;
};
std::vector<scan_and_law> laws_in(const term_view& v, const witness& w);

}  // namespace alphaform

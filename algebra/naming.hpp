// Names for the subterms that a long term repeats, so that it stays readable: s1, s2 ... for streams, h1, h2 ... for
// the states of recurrences and M1, M2 ... for operators, in the order in which a reader first meets them.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <deque>
#include <string>

namespace alphaform {

/// Terms with names in them. Every name is a label in the graph, so printing shows it.
struct named_terms final {
  workspace g{};
  std::vector<node_index> terms{};        ///< the terms that were given
  std::vector<node_index> defined{};      ///< what has got a name, in order of the names' first use
  std::vector<std::size_t> first_used{};  ///< which of the terms is the first to need it
  std::deque<std::string> names{};        ///< where the labels are kept

  named_terms() = default;
  named_terms(const named_terms&) = delete;  // labels point into it
  named_terms& operator=(const named_terms&) = delete;
  named_terms(named_terms&&) = default;
  named_terms& operator=(named_terms&&) = default;

  /// Any term, with the names that occur in it.
  term_view of(const term_view& v);
};

/// Names unlabelled streams that occur more than once or are long, states, and operators that come again.
/// @param known  names that the reader has met before; they are used, and numbers go on after theirs
named_terms with_names(const std::vector<term_view>& terms, const named_terms* known = nullptr);

/// Names for what controls the first of the terms, y: streams that are long or come again, and the transitions of its
/// recurrences. What stands on y's value path from its recurrence on keeps its formula.
named_terms with_named_controls(const std::vector<term_view>& terms);

/// Where a label is spelled as an input is, the label gets a prime: k' = SiLU(k).
void distinguish_labels(expr& e, std::deque<std::string>& names);

}  // namespace alphaform

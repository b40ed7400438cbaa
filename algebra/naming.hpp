// Names for the subterms that a long term repeats, so that it stays readable: s1, s2 ... for streams and h1, h2 ... for
// the states of recurrences, in the order in which a reader first meets them.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <deque>
#include <string>

namespace alphaform {

/// Terms with names in them. Every name is a label in the graph, so printing shows it.
struct named_terms final {
  workspace g{};
  std::vector<node_index> terms{};    ///< the terms that were given, tidied
  std::vector<node_index> defined{};  ///< what has got a name, in order of the names' first use
  std::deque<std::string> names{};    ///< where the labels are kept

  named_terms() = default;
  named_terms(const named_terms&) = delete;  // labels point into it
  named_terms& operator=(const named_terms&) = delete;
  named_terms(named_terms&&) = default;
  named_terms& operator=(named_terms&&) = default;
};

/// Names unlabelled streams that occur more than once or are long, and states.
named_terms with_names(const std::vector<term_view>& terms);

}  // namespace alphaform

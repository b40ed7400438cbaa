// A derivation once more, for a reader: one visible step for each place where a rule applies, with what its symbols
// stood for; and how often each rule fires, bookkeeping included.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <array>
#include <utility>
#include <vector>

namespace alphaform {

/// One application of a rule, or of the same rule in several places.
struct visible_step final {
  node_index rule = absent;  ///< row of `rules`
  int times = 1;
  node_index before = absent, after = absent;
  /// What the symbols of the rule's condition stood for, at the first place.
  std::vector<std::pair<std::string_view, node_index>> where{};
};

/// Terms are indices into `g`.
struct visible_derivation final {
  workspace g{};
  std::vector<visible_step> steps{};
};

/// No derivation shows more steps than this, as long as it uses no more rules.
inline constexpr std::size_t most_visible_steps = 12;

/// The steps from F(y) to H. If there are more than most_visible_steps, those by one rule become one step.
visible_derivation visible_steps(const expr& y, std::string_view value = value_input);

/// How often each row of `rules` fires.
using rule_counts = std::array<long, rules.size()>;

/// Adds what derive(y) and, for every name, jacobian(y, name) take.
void count_rules(rule_counts& counts, const expr& y, const std::vector<std::string_view>& inputs);

}  // namespace alphaform

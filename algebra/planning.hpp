// The planner: takes planning rules (fused Diags, folded gates, shared factors ...) as long as a step makes the
// operator cheaper by a model that is counted on the expression: fewer operations and no more memory traffic, or the
// other way around. A plan so never costs more than what it was given; it is not searched for the cheapest of all.
#pragma once
#include <alphaform/algebra/term_view.hpp>

namespace alphaform {

/// Sizes that a cost is counted with.
struct plan_sizes final {
  double tokens = 1024, heads = 8, channels = 64, states = 16, ranks = 16, taps = 4;
  /// Entries of one token of a stream.
  double entries(axes) const;
};

/// Of P x and of the streams that control P, each evaluated once.
struct operator_cost final {
  double operations = 0;  ///< multiplications, additions and function values
  double numbers = 0;     ///< read and written
  friend bool operator==(const operator_cost&, const operator_cost&) = default;
};

/// @param in  the axes of x
/// @throws user_error when a marker is left in the operator
operator_cost cost_of(const term_view& P, axes in, const plan_sizes&);

struct planned_operator final {
  large_expr P;
  operator_cost before, after;
  std::vector<std::string_view> rules;  ///< names of the planning rules that were taken, in order
};

/// P, or the same operator at a lower cost.
planned_operator planned(const large_expr& P, axes in, const plan_sizes& = {});

}  // namespace alphaform

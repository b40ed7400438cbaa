// Cases that differ in their architecture, sizes and needs only: one row each.
#pragma once
#include <alphaform/benchmarks/cases.hpp>
#include <alphaform/benchmarks/problem.hpp>

namespace alphaform::benchmarks {

struct layer_row final {
  std::string_view group, architecture, suffix;  ///< the case is "group/query" or "group/query-suffix"
  problem_sizes sizes;
  needs (*of)(const problem_sizes&);  ///< all but the bytes of streams, which follow from the declaration
  const expr* declared = nullptr;     ///< instead of a registered architecture of that name
};

/// Two cases for each row: y by the recurrence, and H x.
std::vector<named_case> layer_cases(std::span<const layer_row>);

}  // namespace alphaform::benchmarks

// What a derivation is worth in numbers: the miss of every step, of y = H x + r, of the derivatives and of the equation
// as printed, measured with the dense witness on random parameters.
#pragma once
#include <alphaform/algebra/replay.hpp>
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/backends/reference/scan_law.hpp>
#include <optional>
#include <vector>

namespace alphaform {

/// Each number is max |difference| / max |exact|, the larger one of two random seeds.
struct derivation_evidence final {
  std::vector<double> steps;          ///< before against after; NaN if the derivation was refused
  std::optional<double> whole;        ///< H x + r against y; none if the derivation was refused
  std::optional<double> printed;      ///< H_printed x against y; none if the paper prints no operator
  std::optional<double> stabilised;   ///< the stabilised form against y; none if there is no such form
  std::vector<scan_and_law> scans{};  ///< the recurrences of H
};

derivation_evidence measure(const architecture& a, const derivation& d, const visible_derivation& steps);

/// The derivative of y with respect to one input, and what it misses.
struct measured_jacobian final {
  std::string_view input;
  jacobian_terms terms;
  std::optional<double> whole;  ///< J against dual numbers; none if a term has no derivative here
  std::optional<double> split;  ///< H and one term for each path, against dual numbers
};

measured_jacobian measure_jacobian(const architecture& a, std::string_view input);

}  // namespace alphaform

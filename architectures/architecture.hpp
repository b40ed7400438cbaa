// What a token mixer is: the declaration of its attention, how its inputs come from the mixer's input u, and its output
// projection.
#pragma once
#include <alphaform/algebra/layers.hpp>
#include <span>

namespace alphaform {

/// An input of the attention as an expression of the mixer's own input "u" [T, D].
struct projection final {
  std::string_view input;
  expr of_u;
};

/// The operator as the paper prints it, to measure what it misses.
struct printed_form final {
  std::string_view equation;
  expr H{};
  std::string_view difference;  ///< where it differs from the derived operator, and why
};

/// What a reader is told first.
struct heading final {
  std::string_view name, title, source, summary;
};

/// One registered architecture: everything is a value made from its declaration.
struct architecture final {
  std::string_view name, title, source, summary;
  std::span<const projection> inputs;
  expr attention;  ///< y, a stream of the inputs; its value path starts at "x"
  expr output;     ///< the mixer's result, a stream of "y"
  printed_form printed;
};

/// Collects the parts of a declaration.
template <class Declaration>
constexpr architecture as_architecture() {
  using D = Declaration;
  return {D::about.name, D::about.title, D::about.source, D::about.summary,
          D::inputs,     D::attention.e, D::output.e,     D::printed};
}

}  // namespace alphaform

// What a token mixer is: the declaration of its attention, how its inputs come from the mixer's input u, and its output
// projection.
#pragma once
#include <alphaform/algebra/layers.hpp>
#include <alphaform/algebra/recurrence.hpp>
#include <span>

namespace alphaform {

/// An input of the attention as an expression of the mixer's own input "u" [T, D].
struct projection final {
  std::string_view input;
  expr of_u;
};

/// An input that is no function of the mixer's own input: it is what the input `of_first` was in the first layer.
struct shared_input final {
  std::string_view input, of_first;
};

/// The operator as the paper prints it, to measure what it misses; without an equation where it prints none.
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
  std::span<const shared_input> shared{};
};

/// Collects the parts of a declaration.
template <class Declaration>
constexpr architecture as_architecture() {
  using D = Declaration;
  architecture a{D::about.name, D::about.title, D::about.source, D::about.summary,
                 D::inputs,     D::attention.e, D::output.e,     {}};
  if constexpr (requires { D::printed; }) a.printed = D::printed;
  if constexpr (requires { D::shared; }) a.shared = D::shared;
  return a;
}

}  // namespace alphaform

// A declared expression in a workspace of its own, ready to be evaluated many times.
#pragma once
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

struct expression final {
  workspace g{};
  node_index root = absent;
  explicit expression(const expr& e) { root = g.take(e.g, e.root); }
};

/// The names of the parameters that occur in an expression.
std::vector<std::string_view> parameters_of(const expr&);

}  // namespace alphaform

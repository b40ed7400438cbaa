// Every part of an explanation speaks of the same tokens; this is where that is checked, once for all outputs.
#pragma once
#include <alphaform/explain/explanation.hpp>

namespace alphaform {

/// @throws internal_error  if pieces, ids, special and scores differ in length, or a map is not [tokens, tokens]
void check_shapes(const explanation& e);

}  // namespace alphaform

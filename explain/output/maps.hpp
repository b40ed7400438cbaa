// The arrays of an explanation, and their names: what result.json refers to and maps.npz holds.
#pragma once
#include <alphaform/explain/explanation.hpp>
#include <string>

namespace alphaform {

/// The key of a map in the .npz file, "layer_3".
std::string map_name(const layer_map& map);

/// The bytes of a .npz file with one [tokens, tokens] float32 array a layer, "scores" [tokens] and "ids" [tokens]
/// (int64).
/// @throws internal_error  if the parts of `e` disagree in the number of tokens
std::string maps_npz(const explanation& e);

}  // namespace alphaform

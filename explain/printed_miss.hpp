// What the operator as the paper prints it misses on a trained model that comes with alphaform.
#pragma once
#include <alphaform/explain/document.hpp>
#include <optional>

namespace alphaform {

/// max |H_printed x - y| / max |y| over all layers and samples recorded in models/golden/NAME, in double; nothing if
/// the architecture prints no operator or the model is not there.
std::optional<measured_miss> printed_miss(const architecture&);

}  // namespace alphaform

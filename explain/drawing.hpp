// Implicit attention as a picture, after the paper's Fig. 2: |H| of some channels in some layers of a model on a text.
#pragma once
#include <alphaform/backends/model/model.hpp>
#include <string>

namespace alphaform {

/// A row for each of up to three layers (first, middle, last), a column for each of up to four channels (first, last,
/// and two between, in different heads where there are several). Row t of a map is what token t receives. Every map is
/// scaled from its least entry to its greatest; colours go with the square root.
/// @param only  draw layers whose mixer is this architecture; all if it is nothing
/// @return the bytes of a PNG file
/// @throws user_error when the model has no such layer
std::string attention_picture(const model<float>&, std::span<const std::int64_t> ids,
                              const architecture* only = nullptr);

}  // namespace alphaform

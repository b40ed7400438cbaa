// The explanation of one text by a loaded model: prediction, maps of every layer, token scores, and the proof that y =
// H x + r held.
#pragma once
#include <alphaform/architectures/text/tokenizer.hpp>
#include <alphaform/explain/methods.hpp>

namespace alphaform {

/// @param name   of the model, for the reader
/// @param text   as given; the tokens are what the model's tokenizer made of it
/// @param words  names the tokens that a language model predicts
explanation explain(const model<float>&, std::string name, std::string text, std::span<const token> tokens, method,
                    const std::optional<tokenizer>& words);

}  // namespace alphaform

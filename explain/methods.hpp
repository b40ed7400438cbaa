// Methods that turn implicit attention into scores of input tokens. All work on the last token's row: it is where a
// classifier or a language model reads its prediction.
#pragma once
#include <alphaform/backends/model/model.hpp>
#include <alphaform/explain/explanation.hpp>
#include <functional>
#include <string_view>

namespace alphaform {

/// How token scores are made of the layers' maps A_l = mean over channels of |H_c|, [T, T].
enum class method : std::uint8_t {
  raw,      ///< mean over the layers of the last row of A_l, each row divided by its sum
  rollout,  ///< last row of the product over the layers of rownorm(I + rownorm(A_l)) (Abnar and Zuidema 2020)
};
/// @throws user_error for an unknown name
method method_of(std::string_view name);
std::string_view text_of(method);
/// One sentence that says what the method computes.
std::string_view sentence_of(method);

/// Scores of the input tokens, [T], from the layers' maps, which must be non-negative.
/// @throws user_error if a row of a map has no positive entry
std::vector<float> token_scores(method, const std::vector<layer_map>&, std::size_t tokens);

/// Probabilities from logits, most probable first, at most `most`; `name` says what an output stands for.
std::vector<prediction> predictions_of(const std::vector<double>& logits, std::size_t most,
                                       const std::function<std::string(std::size_t)>& name);

}  // namespace alphaform

// What an explanation of one text is, as plain values: everything that the terminal, report.html, the pictures and
// result.json show.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace alphaform {

/// One attention map of one layer, reduced over channels. Entry (i, j): influence of input token j on output token i;
/// signed.
struct layer_map {
  int layer = 0;
  std::string reduction;      ///< "mean" or "abs-mean" over channels
  std::vector<float> values;  ///< [tokens, tokens], row-major, rows are output tokens
};

/// One line of `alphaform verify`.
struct check {
  std::string name;
  double max_abs = 0;    ///< largest absolute difference
  double scale = 0;      ///< largest magnitude of the reference
  double tolerance = 0;  ///< passes if max_abs <= tolerance * scale
  bool pass = false;
  std::string skipped;  ///< the reason, if the check could not be made
};

/// The answer of a classifier or, for a language model, of the next-token distribution.
struct prediction {
  std::string label;
  double probability = 0;
};

/// Everything that `alphaform explain` found out about one text.
struct explanation {
  std::string model;                    ///< path or name of the model
  std::string model_type;               ///< "mamba", "rwkv"
  std::string method;                   ///< "raw" or "rollout"
  std::string text;                     ///< the input as given
  std::vector<std::string> pieces;      ///< [tokens] the text of each token, as UTF-8
  std::vector<std::int64_t> ids;        ///< [tokens]
  std::vector<bool> special;            ///< [tokens] true for tokens that are not part of the text, such as <cls>
  std::vector<float> scores;            ///< [tokens] signed relevance for the prediction token's row
  std::vector<prediction> predictions;  ///< most probable first
  std::vector<layer_map> maps;          ///< one a layer
  std::vector<check> checks;            ///< the identity y = H x + r of every layer on this very text
  std::vector<std::pair<std::string, std::string>> settings;  ///< name and value, in the order to show
  std::string formula_mathml;   ///< the attention formula H = ..., as a MathML <math> element
  std::string derivation_html;  ///< the derivation document as an HTML fragment (headings h3, tables, MathML)
};

}  // namespace alphaform

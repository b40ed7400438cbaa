// The derivation of an architecture as a document, made from the objects that are evaluated: declaration, every step
// with its evidence, properties, and where the paper's printed equation differs.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <optional>
#include <string>

namespace alphaform {

enum class document_format { text, markdown, latex, json, html };

/// What the equation as printed misses on a real model.
struct measured_miss final {
  std::string where;  ///< "layer 0 of the golden Mamba"
  double miss;        ///< max |H_printed x - y| / max |y|
};

/// Text is UTF-8, at most 110 columns for prose; Markdown has GitHub's formulas; LaTeX is a complete article that needs
/// amsmath; JSON has every field; HTML is a fragment with MathML. A refused derivation is a document too: it names the
/// term that refused.
std::string derivation_document(const architecture& a, document_format format,
                                const std::optional<measured_miss>& printed_on_golden);

}  // namespace alphaform

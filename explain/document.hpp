// The derivation of an architecture as a document, made from the objects that are evaluated: declaration, every step
// with its evidence, properties, derivatives, and where the paper's printed equation differs.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <optional>
#include <string>

namespace alphaform {

/// `html` is a fragment to stand inside a report, `html_page` a page of its own.
enum class document_format { text, markdown, latex, json, html, html_page };

/// What the equation as printed misses on a real model.
struct measured_miss final {
  std::string where;  ///< "layer 0 of the golden Mamba"
  double miss;        ///< max |H_printed x - y| / max |y|
};

/// How much of a mixer's true derivative J the implicit attention H is: see implicit_share.hpp.
struct measured_share final {
  std::string where;
  double carried;  ///< <H v, J v> / |J v|^2 over random directions v: 1 if J = H
  double cosine;
};

/// What was measured on a real model, where there is one.
struct measured_on_golden final {
  std::optional<measured_miss> printed;
  std::optional<measured_share> share{};
  std::string picture{};  ///< where a page in HTML or Markdown finds a picture of |H|; none if empty
};

/// Text is UTF-8, at most 110 columns for prose; Markdown has GitHub's formulas; LaTeX is a complete article that needs
/// amsmath; JSON has every field; HTML has MathML and needs no script. A refused derivation is a document too: it names
/// the term that refused, and the unsound rule that would have been needed.
/// @param with_jacobian  also the true derivative with respect to every input, path by path
std::string derivation_document(const architecture& a, document_format format, const measured_on_golden& measured,
                                bool with_jacobian = false);

}  // namespace alphaform

#include <alphaform/explain/document.hpp>
#include <alphaform/explain/document/blocks.hpp>

namespace alphaform {

std::string derivation_document(const architecture& a, document_format format,
                                const std::optional<measured_miss>& printed_on_golden) {
  using namespace documents;
  const derivation d = derive(a.attention);
  const derivation_evidence e = measure(a, d);
  const auto said = [&](notation n) { return compose(a, d, e, printed_on_golden, n); };
  switch (format) {
    case document_format::text:
      return write_text(said(notation::text));
    case document_format::markdown:
      return write_markdown(said(notation::latex));
    case document_format::latex:
      return write_latex(said(notation::latex));
    case document_format::json:
      return write_json(a, d, e, printed_on_golden);
    case document_format::html:
      return write_html(said(notation::mathml));
  }
  throw internal_error("unknown document format");
}

}  // namespace alphaform

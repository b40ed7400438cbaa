#include <alphaform/algebra/naming.hpp>
#include <alphaform/explain/document.hpp>
#include <alphaform/explain/document/blocks.hpp>

namespace alphaform {

std::string derivation_document(const architecture& given, document_format format, const measured_on_golden& measured,
                                bool with_jacobian) {
  using namespace documents;
  architecture a = given;
  std::deque<std::string> labels;
  distinguish_labels(a.attention, labels);
  distinguish_labels(a.printed.H, labels);
  subject s{a, derive(a.attention), visible_steps(a.attention), {}, {}, measured};
  s.evidence = measure(a, s.derived, s.steps);
  if (with_jacobian)
    for (const projection& p : a.inputs) s.jacobians.push_back(measure_jacobian(a, p.input));
  switch (format) {
    case document_format::text:
      return write_text(compose(s, notation::text));
    case document_format::markdown:
      return write_markdown(compose(s, notation::latex));
    case document_format::latex:
      return write_latex(compose(s, notation::latex));
    case document_format::json:
      return write_json(s);
    case document_format::html:
      return write_html(compose(s, notation::mathml));
    case document_format::html_page:
      return write_html_page(compose(s, notation::mathml));
  }
  throw internal_error("unknown document format");
}

}  // namespace alphaform

// report.html: one self-contained page that works offline, made from the template in docs/report.
#pragma once
#include <alphaform/explain/explanation.hpp>
#include <string>

namespace alphaform {

/// The bytes of the page. Text, tokens and names are untrusted: they travel as escaped JSON and are shown as text only.
/// `formula_mathml` and `derivation_html` are inserted as they are. Maps are base64 of little-endian float32, one block
/// each.
/// @throws internal_error  if the parts of `e` disagree in the number of tokens
std::string report_html(const explanation& e);

}  // namespace alphaform

#include <algorithm>
#include <alphaform/algebra/notation.hpp>

namespace alphaform {
namespace {

struct letter final {
  std::string_view spelled, glyph;
};
constexpr std::array greek{letter{"alpha", "α"},   letter{"beta", "β"},   letter{"gamma", "γ"},  letter{"delta", "δ"},
                           letter{"epsilon", "ε"}, letter{"zeta", "ζ"},   letter{"eta", "η"},    letter{"theta", "θ"},
                           letter{"iota", "ι"},    letter{"kappa", "κ"},  letter{"lambda", "λ"}, letter{"mu", "μ"},
                           letter{"nu", "ν"},      letter{"xi", "ξ"},     letter{"pi", "π"},     letter{"rho", "ρ"},
                           letter{"sigma", "σ"},   letter{"tau", "τ"},    letter{"phi", "φ"},    letter{"chi", "χ"},
                           letter{"psi", "ψ"},     letter{"omega", "ω"},  letter{"Gamma", "Γ"},  letter{"Delta", "Δ"},
                           letter{"Theta", "Θ"},   letter{"Lambda", "Λ"}, letter{"Xi", "Ξ"},     letter{"Pi", "Π"},
                           letter{"Sigma", "Σ"},   letter{"Phi", "Φ"},    letter{"Psi", "Ψ"},    letter{"Omega", "Ω"}};

const letter* greek_letter(std::string_view name) {
  const auto* at = std::find_if(greek.begin(), greek.end(), [name](const letter& l) { return l.spelled == name; });
  return at == greek.end() ? nullptr : at;
}

std::string escaped(std::string_view s, std::string_view special, std::string (*escape)(char)) {
  std::string out;
  for (const char c : s) out += special.find(c) == special.npos ? std::string(1, c) : escape(c);
  return out;
}
std::string in_latex(std::string_view s) {
  return escaped(s, "_&%$#{}", [](char c) { return std::string("\\") + c; });
}
std::string in_xml(std::string_view s) {
  return escaped(s, "<>&", [](char c) { return std::string(c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;"); });
}

/// Where the digits of a name such as s12 begin, or its end.
std::size_t digits_of(std::string_view name) {
  const std::size_t at = name.find_last_not_of("0123456789") + 1;
  return at == 1 ? at : name.size();
}

/// k' is k with a prime.
bool is_primed(std::string_view name) { return name.size() > 1 && name.ends_with('\''); }
std::string_view unprimed(std::string_view name) { return name.substr(0, name.size() - 1); }

std::string text_symbol(std::string_view name) {
  if (is_primed(name)) return text_symbol(unprimed(name)) + "'";
  const letter* l = greek_letter(name);
  return std::string(l ? l->glyph : name);
}
std::string latex_symbol(std::string_view name) {
  if (is_primed(name)) return "{" + latex_symbol(unprimed(name)) + "}'";
  if (greek_letter(name)) return "\\" + std::string(name);
  if (const std::size_t at = digits_of(name); at < name.size())
    return std::string(name.substr(0, at)) + "_{" + std::string(name.substr(at)) + "}";
  return name.size() == 1 ? std::string(name) : "\\mathit{" + in_latex(name) + "}";
}
std::string mathml_symbol(std::string_view name) {
  if (is_primed(name)) return "<msup>" + mathml_symbol(unprimed(name)) + "<mo>′</mo></msup>";
  if (const std::size_t at = digits_of(name); at < name.size())
    return "<msub><mi>" + in_xml(name.substr(0, at)) + "</mi><mn>" + std::string(name.substr(at)) + "</mn></msub>";
  return "<mi>" + in_xml(text_symbol(name)) + "</mi>";
}

std::string text_parameter(std::string_view name) { return std::string(name); }
std::string latex_parameter(std::string_view name) { return "\\mathtt{" + in_latex(name) + "}"; }
std::string mathml_parameter(std::string_view name) {
  return "<mtext class=\"parameter\">" + in_xml(name) + "</mtext>";
}

std::string plain_number(std::string_view decimals) { return std::string(decimals); }
std::string mathml_number(std::string_view decimals) {
  if (decimals.starts_with('-')) return "<mo>−</mo>" + mathml_number(decimals.substr(1));
  return "<mn>" + std::string(decimals) + "</mn>";
}

std::string text_bracket(const std::string& s) { return "(" + s + ")"; }
std::string latex_bracket(const std::string& s) {
  const bool tall = s.find("\\frac") != s.npos;
  return tall ? "\\!\\left(" + s + "\\right)" : "(" + s + ")";
}
std::string mathml_bracket(const std::string& s) { return "<mrow><mo>(</mo>" + s + "<mo>)</mo></mrow>"; }

std::string as_it_is(const std::string& s) { return s; }
std::string in_row(const std::string& s) { return "<mrow>" + s + "</mrow>"; }

constexpr style text{.function = &function_row::text,
                     .comma = ", ",
                     .plus = " + ",
                     .minus = " - ",
                     .times = "·",
                     .then = " ",
                     .ones = "1",
                     .over_axis = "1/@",
                     .word = "@",
                     .on_axes = "#[@]",
                     .axis = "@",
                     .to = "→",
                     .respect = "#[@]",
                     .transposed = "#ᵀ",
                     .symbol = text_symbol,
                     .parameter = text_parameter,
                     .number = plain_number,
                     .bracket = text_bracket,
                     .group = as_it_is};
constexpr style latex{.function = &function_row::latex,
                      .comma = ",\\, ",
                      .plus = " + ",
                      .minus = " - ",
                      .times = " \\, ",
                      .then = " \\, ",
                      .ones = "\\mathbf{1}",
                      .over_axis = "\\frac{1}{@}",
                      .word = "\\mathrm{@}",
                      .on_axes = "#_{@}",
                      .axis = "@",
                      .to = " \\to ",
                      .respect = "#_{@}",
                      .transposed = "{#}^{\\top}",
                      .symbol = latex_symbol,
                      .parameter = latex_parameter,
                      .number = plain_number,
                      .bracket = latex_bracket,
                      .group = as_it_is};
constexpr style mathml{.function = &function_row::mathml,
                       .comma = "<mo>,</mo>",
                       .plus = "<mo>+</mo>",
                       .minus = "<mo>−</mo>",
                       .times = "<mo>⁢</mo>",
                       .then = "<mspace width=\"0.22em\"></mspace>",
                       .ones = "<mn>𝟏</mn>",
                       .over_axis = "<mfrac><mn>1</mn><mi>@</mi></mfrac>",
                       .word = "<mi>@</mi>",
                       .on_axes = "<msub>#<mrow>@</mrow></msub>",
                       .axis = "<mi>@</mi>",
                       .to = "<mo>→</mo>",
                       .respect = "<msub>#<mrow>@</mrow></msub>",
                       .transposed = "<msup>#<mo>⊤</mo></msup>",
                       .symbol = mathml_symbol,
                       .parameter = mathml_parameter,
                       .number = mathml_number,
                       .bracket = mathml_bracket,
                       .group = in_row};

}  // namespace

const style& style_of(notation n) {
  constexpr std::array styles{&text, &latex, &mathml};
  return *styles[static_cast<std::size_t>(n)];
}

std::string symbol_text(std::string_view name, notation n) { return style_of(n).symbol(name); }

std::string filled(std::string_view form, const std::string& at, const std::string& hash) {
  std::string out;
  for (const char c : form) {
    if (c == '@')
      out += at;
    else if (c == '#')
      out += hash;
    else
      out += c;
  }
  return out;
}

}  // namespace alphaform

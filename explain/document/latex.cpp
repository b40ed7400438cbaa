// The document as a complete article that needs amsmath only. Words become ASCII, so that every engine reads it.
#include <alphaform/explain/document/blocks.hpp>
#include <array>

namespace alphaform::documents {
namespace {

struct replacement final {
  std::string_view from, to;
};
constexpr std::array replacements{replacement{"\\", "\\textbackslash{}"},
                                  replacement{"_", "\\_"},
                                  replacement{"^", "\\^{}"},
                                  replacement{"{", "\\{"},
                                  replacement{"}", "\\}"},
                                  replacement{"#", "\\#"},
                                  replacement{"&", "\\&"},
                                  replacement{"%", "\\%"},
                                  replacement{"$", "\\$"},
                                  replacement{"~", "\\~{}"},
                                  replacement{"<", "$<$"},
                                  replacement{">", "$>$"},
                                  replacement{"≤", "$\\le$"},
                                  replacement{"ᵀ", "$^\\top$"},
                                  replacement{"²", "$^2$"},
                                  replacement{"³", "$^3$"},
                                  replacement{"·", "$\\cdot$"},
                                  replacement{"→", "$\\to$"},
                                  replacement{"\"", "''"}};

std::string words(std::string_view s) {
  std::string out;
  while (!s.empty()) {
    std::string_view taken = s.substr(0, 1), written = taken;
    for (const replacement& r : replacements)
      if (s.substr(0, r.from.size()) == r.from) taken = r.from, written = r.to;
    out += written;
    s.remove_prefix(taken.size());
  }
  return out;
}

/// A product may break between its factors.
std::string breakable(const std::string& formula) {
  std::string out;
  for (std::size_t at = 0; at < formula.size();) {
    const std::size_t end = formula.find(" \\, ", at);
    out += formula.substr(at, end - at);
    if (end == formula.npos) break;
    out += " \\,\\allowbreak ";
    at = end + 4;
  }
  return out;
}

std::string written(const line& l) {
  std::string out;
  for (const span& s : l) out += s.is_formula ? "$" + breakable(s.text) + "$" : words(s.text);
  return out;
}

std::string row_of(const std::vector<line>& cells) {
  std::string out;
  for (const line& cell : cells) out += (&cell == &cells.front() ? "" : " & ") + written(cell);
  return out + " \\\\\n";
}

/// Columns of formulas take two parts of the width, others one.
std::string table(const std::vector<std::vector<line>>& rows) {
  const std::size_t columns = rows.front().size();
  constexpr std::array narrow{"", "", "@{}p{0.36\\linewidth}p{0.58\\linewidth}@{}", "",
                              "@{}p{0.24\\linewidth}p{0.32\\linewidth}p{0.14\\linewidth}p{0.18\\linewidth}@{}"};
  std::string out = std::string("\\noindent{\\small\\raggedright\n\\begin{tabular}{") + narrow[columns] +
                    "}\n\\hline\n" + row_of(rows.front()) + "\\hline\n";
  for (std::size_t r = 1; r < rows.size(); ++r) out += row_of(rows[r]);
  return out + "\\hline\n\\end{tabular}\\par}\n\\medskip\n\n";
}

std::string equations(const std::vector<std::vector<line>>& rows) {
  std::string out = "\\begin{quote}\\raggedright\n";
  for (const auto& row : rows) {
    const span& left = row[0].front();
    out +=
        (left.is_formula ? "$" + left.text + " = " : words(left.text) + ": $") + breakable(row[1].front().text) + "$";
    out += &row == &rows.back() ? "\n" : "\\\\\n";
  }
  return out + "\\end{quote}\n\n";
}

}  // namespace

std::string write_latex(const std::vector<block>& blocks) {
  std::string out = "\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n\n";
  for (const block& b : blocks) switch (b.kind) {
      case block_kind::title:
        out += "\\begin{center}\\Large " + written(b.text) + "\\end{center}\n\n";
        break;
      case block_kind::heading:
        out += "\\section*{" + written(b.text) + "}\n\n";
        break;
      case block_kind::paragraph:
        out += "\\noindent " + written(b.text) + "\\par\\medskip\n\n";
        break;
      case block_kind::equations:
        out += equations(b.rows);
        break;
      case block_kind::table:
        out += table(b.rows);
        break;
    }
  return out + "\\end{document}\n";
}

}  // namespace alphaform::documents

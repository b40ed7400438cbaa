// The document as a complete article that needs amsmath only. Words become ASCII, so that every engine reads it.
#include <fmt/core.h>

#include <algorithm>
#include <alphaform/explain/document/blocks.hpp>
#include <array>
#include <cctype>
#include <numeric>

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
  for (const line& cell : cells)
    out += (&cell == &cells.front() ? "\\raggedright " : " & \\raggedright ") + written(cell);
  return out + " \\tabularnewline\n";
}

/// About how wide a cell is, in characters: names of operators and symbols, without the commands that set them.
std::size_t length_of(const line& l) {
  std::size_t n = 0;
  for (const span& s : l) {
    bool in_command = false;
    for (const char c : s.text) {
      in_command = s.is_formula && (c == '\\' || (in_command && std::isalpha(static_cast<unsigned char>(c)) != 0));
      n += in_command ? 0 : 1;
    }
  }
  return n;
}

/// Every column gets room in proportion to its longest cell, up to a limit above which a cell takes several lines.
std::string columns_of(const std::vector<std::vector<line>>& rows) {
  constexpr std::size_t narrowest = 11, widest = 52;
  constexpr double usable = 0.94;
  std::vector<std::size_t> lengths(rows.front().size(), narrowest);
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) lengths[c] = std::min(std::max(lengths[c], length_of(row[c])), widest);
  const std::size_t all = std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
  std::string out = "@{}";
  for (const std::size_t length : lengths)
    out += fmt::format("p{{{:.3f}\\linewidth}}",
                       usable * static_cast<double>(length) / static_cast<double>(std::max<std::size_t>(all, 90)));
  return out + "@{}";
}

/// Tables do not break over pages: long ones become several.
std::string table(const std::vector<std::vector<line>>& rows) {
  constexpr std::size_t most_rows = 18;
  const std::string columns = columns_of(rows);
  std::string out;
  for (std::size_t first = 1; first < rows.size(); first += most_rows) {
    out += "\\noindent{\\small\\setlength{\\tabcolsep}{3pt}\\renewcommand{\\arraystretch}{1.2}\n\\begin{tabular}{" +
           columns + "}\n\\hline\n" + row_of(rows.front()) + "\\hline\n";
    for (std::size_t r = first; r < std::min(first + most_rows, rows.size()); ++r) out += row_of(rows[r]);
    out += "\\hline\n\\end{tabular}\\par}\n\\medskip\n\n";
  }
  return out;
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
  std::string out =
      "\\documentclass{article}\n\\usepackage{amsmath}\n\\setlength{\\textwidth}{165mm}\n"
      "\\setlength{\\oddsidemargin}{-3mm}\n\\setlength{\\textheight}{230mm}\n\\setlength{\\topmargin}{-15mm}\n"
      "\\begin{document}\n\n";
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
      case block_kind::picture:  // for pages that are read beside it
        break;
    }
  return out + "\\end{document}\n";
}

}  // namespace alphaform::documents

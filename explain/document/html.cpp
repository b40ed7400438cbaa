// The document as an HTML fragment with MathML, to stand inside a report.
#include <alphaform/explain/document/blocks.hpp>

namespace alphaform::documents {
namespace {

std::string escaped(std::string_view s) {
  std::string out;
  for (const char c : s) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

std::string inline_math(const std::string& row) { return "<math displaystyle=\"true\">" + row + "</math>"; }

std::string written(const line& l) {
  std::string out;
  for (const span& s : l) out += s.is_formula ? inline_math(s.text) : escaped(s.text);
  return out;
}

std::string row_of(const std::vector<line>& cells, std::string_view cell_tag) {
  const std::string tag(cell_tag);
  std::string out = "<tr>";
  for (const line& cell : cells) out += "<" + tag + ">" + written(cell) + "</" + tag + ">";
  return out + "</tr>\n";
}

std::string table(const std::vector<std::vector<line>>& rows) {
  std::string out = "<table>\n<thead>" + row_of(rows.front(), "th") + "</thead>\n<tbody>\n";
  for (std::size_t r = 1; r < rows.size(); ++r) out += row_of(rows[r], "td");
  return out + "</tbody>\n</table>\n";
}

std::string equations(const std::vector<std::vector<line>>& rows) {
  std::string out = "<table class=\"equations\">\n";
  for (const auto& row : rows) {
    const span& left = row[0].front();
    out += "<tr><td>" + written(row[0]) + "</td><td>" +
           (left.is_formula ? inline_math("<mrow><mo>=</mo>" + row[1].front().text + "</mrow>") : written(row[1])) +
           "</td></tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string write_html(const std::vector<block>& blocks) {
  std::string out;
  for (const block& b : blocks) switch (b.kind) {
      case block_kind::title:
        out += "<h3>" + written(b.text) + "</h3>\n";
        break;
      case block_kind::heading:
        out += "<h4>" + written(b.text) + "</h4>\n";
        break;
      case block_kind::paragraph:
        out += "<p>" + written(b.text) + "</p>\n";
        break;
      case block_kind::equations:
        out += equations(b.rows);
        break;
      case block_kind::table:
        out += table(b.rows);
        break;
    }
  return out;
}

}  // namespace alphaform::documents

// The document as HTML with MathML: a fragment to stand inside a report, or a page without scripts or other files.
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

constexpr std::string_view page_style = R"(
  body { font: 16px/1.5 Georgia, "Times New Roman", serif; max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem;
         color: #1b1b1f; background: #fff; }
  h3 { font-size: 1.7rem; margin: 0 0 1rem; }
  h4 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d8d8de; }
  table { border-collapse: collapse; margin: .8rem 0 1.2rem; }
  th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; }
  thead th { border-bottom: 1px solid #888; }
  tbody tr + tr td { border-top: 1px solid #ececf0; }
  table.equations { display: block; overflow-x: auto; padding-left: 1.2rem; }
  table.equations td { border: 0; padding: .2rem .5rem .2rem 0; white-space: nowrap; }
  .parameter { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .85em; }
  @media (prefers-color-scheme: dark) { body { color: #e6e6ea; background: #17171b; } }
)";

}  // namespace

std::string write_html_page(const std::vector<block>& blocks) {
  const std::string title = blocks.empty() ? "" : written(blocks.front().text);
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
         "content=\"width=device-width, initial-scale=1\">\n<title>" +
         title + "</title>\n<style>" + std::string(page_style) + "</style>\n</head>\n<body>\n" + write_html(blocks) +
         "</body>\n</html>\n";
}

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
      case block_kind::picture:
        out += "<p><img src=\"" + escaped(b.text[1].text) + "\" alt=\"|H|\"></p>\n<p>" + escaped(b.text[0].text) +
               "</p>\n";
        break;
    }
  return out;
}

}  // namespace alphaform::documents

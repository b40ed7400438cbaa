// The document as Markdown with formulas as GitHub and GitLab read them: $`...`$ in a line, ```math for a display.
#include <alphaform/explain/document/blocks.hpp>

namespace alphaform::documents {
namespace {

std::string marked(const line& l) {
  std::string out;
  for (const span& s : l) {
    if (s.is_formula) {
      out += "$`" + s.text + "`$";
      continue;
    }
    for (const char c : s.text)
      out += std::string_view("\\*_<|").find(c) == std::string_view::npos ? std::string(1, c) : std::string("\\") + c;
  }
  return out;
}

std::string row_of(const std::vector<line>& cells) {
  std::string out = "|";
  for (const line& cell : cells) out += " " + marked(cell) + " |";
  return out + "\n";
}

std::string table(const std::vector<std::vector<line>>& rows) {
  std::string out = row_of(rows.front()) + "|";
  for (std::size_t c = 0; c < rows.front().size(); ++c) out += " --- |";
  out += "\n";
  for (std::size_t r = 1; r < rows.size(); ++r) out += row_of(rows[r]);
  return out + "\n";
}

std::string equations(const std::vector<std::vector<line>>& rows) {
  std::string out = "```math\n\\begin{aligned}\n";
  for (const auto& row : rows) {
    const span& left = row[0].front();
    out += (left.is_formula ? left.text + " &= " : "\\text{" + left.text + "} &\\quad ") + row[1].front().text;
    out += &row == &rows.back() ? "\n" : " \\\\\n";
  }
  return out + "\\end{aligned}\n```\n\n";
}

}  // namespace

std::string write_markdown(const std::vector<block>& blocks) {
  std::string out;
  for (const block& b : blocks) switch (b.kind) {
      case block_kind::title:
        out += "# " + marked(b.text) + "\n\n";
        break;
      case block_kind::heading:
        out += "## " + marked(b.text) + "\n\n";
        break;
      case block_kind::paragraph:
        out += marked(b.text) + "\n\n";
        break;
      case block_kind::equations:
        out += equations(b.rows);
        break;
      case block_kind::table:
        out += table(b.rows);
        break;
      case block_kind::picture:
        out += "![|H|](" + b.text[1].text + ")\n\n" + marked({b.text[0]}) + "\n\n";
        break;
    }
  return out.substr(0, out.find_last_not_of('\n') + 1) + "\n";
}

}  // namespace alphaform::documents

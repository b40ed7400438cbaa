// The document for a terminal: prose wrapped at 100 columns, formulas indented, tables with aligned columns.
#include <algorithm>
#include <alphaform/explain/document/blocks.hpp>
#include <alphaform/explain/output/utf8.hpp>

namespace alphaform::documents {
namespace {

constexpr std::size_t width = 100;

std::string plain(const line& l) {
  std::string text;
  for (const span& s : l) text += s.text;
  return text;
}
std::string padded(const std::string& text, std::size_t to) {
  return text + std::string(to - std::min(to, terminal_width(text)), ' ');
}
std::string without_trailing_blanks(std::string s) {
  s.erase(s.find_last_not_of(' ') + 1);
  return s;
}

/// Breaks at blanks so that no line but a single long word exceeds `room` columns.
std::vector<std::string> wrapped(const std::string& text, std::size_t room) {
  std::vector<std::string> lines{""};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!lines.back().empty() && terminal_width(lines.back()) + 1 + terminal_width(word) > room) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    at = end + 1;
  }
  return lines;
}

std::string table(const std::vector<std::vector<line>>& rows) {
  const std::size_t columns = rows.front().size();
  std::vector<std::size_t> widths(columns, 0);
  for (const auto& row : rows)
    for (std::size_t c = 0; c < columns; ++c) widths[c] = std::max(widths[c], terminal_width(plain(row[c])));
  std::size_t left = 2;
  for (std::size_t c = 0; c + 1 < columns; ++c) left += widths[c] + 2;
  const std::size_t last = left < width ? std::max<std::size_t>(width - left, 24) : 24;
  widths.back() = std::min(widths.back(), last);

  std::string out;
  const auto put = [&](const std::vector<std::string>& cells) {
    const std::vector<std::string> tail = wrapped(cells.back(), last);
    for (std::size_t k = 0; k < tail.size(); ++k) {
      std::string row = "  ";
      for (std::size_t c = 0; c + 1 < columns; ++c) row += padded(k == 0 ? cells[c] : "", widths[c]) + "  ";
      out += without_trailing_blanks(row + tail[k]) + "\n";
    }
  };
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<std::string> cells;
    for (const line& cell : rows[r]) cells.push_back(plain(cell));
    put(cells);
    if (r > 0) continue;
    for (std::size_t c = 0; c < columns; ++c) cells[c] = std::string(widths[c], '-');
    put(cells);
  }
  return out + "\n";
}

std::string equations(const std::vector<std::vector<line>>& rows) {
  std::size_t left = 0;
  for (const auto& row : rows) left = std::max(left, terminal_width(plain(row[0])));
  std::string out;
  for (const auto& row : rows) {
    const bool named = row[0].front().is_formula;
    out += "    " + padded(plain(row[0]), left) + (named ? " = " : "   ") + plain(row[1]) + "\n";
  }
  return out + "\n";
}

}  // namespace

std::string write_text(const std::vector<block>& blocks) {
  std::string out;
  for (const block& b : blocks) {
    const std::string text = plain(b.text);
    switch (b.kind) {
      case block_kind::title:
        out += text + "\n" + std::string(terminal_width(text), '=') + "\n\n";
        break;
      case block_kind::heading:
        out += text + "\n" + std::string(terminal_width(text), '-') + "\n\n";
        break;
      case block_kind::paragraph:
        for (const std::string& l : wrapped(text, width)) out += l + "\n";
        out += "\n";
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
  }
  return out.substr(0, out.find_last_not_of('\n') + 1) + "\n";
}

}  // namespace alphaform::documents

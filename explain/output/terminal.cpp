// Everything that came from outside passes visible_text; the only escape sequences are the ones made here.
#include <fmt/format.h>

#include <alphaform/explain/output/palette.hpp>
#include <alphaform/explain/output/shapes.hpp>
#include <alphaform/explain/output/terminal.hpp>
#include <alphaform/explain/output/utf8.hpp>
#include <limits>

namespace alphaform {
namespace {

/// Of the text's own tokens: a classifier's special token often outweighs them all.
double largest_magnitude(const explanation& e) {
  double largest = 0, special = 0;
  for (std::size_t k = 0; k < e.scores.size(); ++k) {
    double& most = e.special[k] ? special : largest;
    if (std::isfinite(e.scores[k])) most = std::max(most, std::abs(double{e.scores[k]}));
  }
  return largest > 0 ? largest : special;
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t used = terminal_width(text);
  return used < width ? text.append(width - used, ' ') : text;
}

std::string prediction_lines(const explanation& e) {
  std::size_t width = 0;
  for (const prediction& p : e.predictions) width = std::max(width, terminal_width(visible_text(p.label)));
  std::string lines;
  for (const prediction& p : e.predictions) {
    lines += fmt::format("{:<12}{}  {:5.1f} %\n", lines.empty() ? "prediction" : "",
                         padded(visible_text(p.label), width), 100 * p.probability);
  }
  return lines;
}

/// "0-23" for consecutive layers, "0, 5, 7" otherwise.
std::string layer_list(const std::vector<layer_map>& maps) {
  const int first = maps.front().layer;
  const int last = maps.back().layer;
  bool consecutive = maps.size() > 2;
  for (std::size_t k = 0; k < maps.size(); ++k)
    consecutive = consecutive && maps[k].layer == first + static_cast<int>(k);
  if (consecutive) return fmt::format("{}-{}", first, last);
  std::string list;
  for (const layer_map& map : maps) list += (list.empty() ? "" : ", ") + std::to_string(map.layer);
  return list;
}

std::string method_line(const explanation& e) {
  std::string line = fmt::format("{:<12}{}", "method", visible_text(e.method));
  if (!e.maps.empty()) {
    line += fmt::format(", {} over channels, {} {}", visible_text(e.maps.front().reduction),
                        e.maps.size() == 1 ? "layer" : "layers", layer_list(e.maps));
  }
  return line + "\n";
}

std::string coloured_text(const explanation& e) {
  const double limit = largest_magnitude(e);
  std::string text;
  for (std::size_t i = 0; i < e.pieces.size(); ++i) {
    const colour back = palette::of_signed(e.scores[i], limit, colour_scale::linear);
    const double luminance = 0.2126 * back.red + 0.7152 * back.green + 0.0722 * back.blue;
    const int ink = luminance < 110 ? 255 : 0;
    text += fmt::format("\x1b[{}48;2;{};{};{};38;2;{};{};{}m{}\x1b[0m", e.special[i] ? "3;" : "", back.red, back.green,
                        back.blue, ink, ink, ink, visible_text(e.pieces[i]));
    if (e.pieces[i].find('\n') != std::string::npos) text += '\n';
  }
  return text + "\n";
}

std::string bar(double score, double limit) {
  constexpr double longest = 24;
  const double depth = std::isfinite(score) ? palette::depth(score, limit, colour_scale::linear) : 0;
  return std::string(static_cast<std::size_t>(std::lround(longest * std::abs(depth))), score < 0 ? '-' : '+');
}

std::string score_table(const explanation& e) {
  std::size_t width = 5;
  for (const std::string& piece : e.pieces) width = std::max(width, terminal_width(visible_text(piece)));
  width = std::min<std::size_t>(width, 32);
  const double limit = largest_magnitude(e);
  std::string table = fmt::format("{}  {:>11}\n", padded("token", width), "score");
  for (std::size_t i = 0; i < e.pieces.size(); ++i) {
    table += fmt::format("{}  {:>+11.4g}", padded(visible_text(e.pieces[i]), width), e.scores[i]);
    const std::string signs = bar(e.scores[i], limit);
    table += signs.empty() ? "\n" : "  " + signs + "\n";
  }
  return table;
}

std::string check_line(const std::vector<check>& checks) {
  std::size_t made = 0;
  std::size_t passed = 0;
  const check* worst = nullptr;
  const auto relative = [](const check& c) {
    if (c.max_abs == 0) return 0.0;
    const double error = c.max_abs / c.scale;
    return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
  };
  for (const check& c : checks) {
    if (!c.skipped.empty()) continue;
    ++made;
    passed += c.pass ? 1U : 0U;
    const bool worse =
        worst == nullptr || (worst->pass && !c.pass) || (worst->pass == c.pass && relative(c) > relative(*worst));
    if (worse) worst = &c;
  }
  const std::size_t skipped = checks.size() - made;
  if (checks.empty()) return fmt::format("{:<12}none were made\n", "checks");
  std::string line = fmt::format("{:<12}{} of {} passed", "checks", passed, made);
  if (skipped > 0) line += fmt::format(", {} skipped", skipped);
  if (worst != nullptr) {
    line += fmt::format("; {} {}: relative error {:.1e}, tolerance {:.1e}", passed == made ? "largest" : "FAILED",
                        visible_text(worst->name), relative(*worst), worst->tolerance);
  }
  return line + "\n";
}

}  // namespace

std::string terminal_text(const explanation& e, bool colour) {
  check_shapes(e);
  return fmt::format("{:<12}{} ({})\n", "model", visible_text(e.model), visible_text(e.model_type)) +
         prediction_lines(e) + method_line(e) + "\n" + (colour ? coloured_text(e) : score_table(e)) + "\n" +
         check_line(e.checks);
}

}  // namespace alphaform

// Fills the places {{name}} of the template in one pass: nothing that is inserted is searched for places again.
#include <algorithm>
#include <alphaform/error.hpp>
#include <alphaform/explain/output/base64.hpp>
#include <alphaform/explain/output/embedded.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/little_endian.hpp>
#include <alphaform/explain/output/palette.hpp>
#include <alphaform/explain/output/report.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

namespace alphaform {
namespace {

using nlohmann::json;

json colours(std::span<const colour> table) {
  json list = json::array();
  for (const colour& c : table) list.push_back({c.red, c.green, c.blue});
  return list;
}

/// JSON that cannot end or open an element: outside of strings JSON has none of these characters, inside they are
/// escaped.
std::string escaped_for_script(const std::string& text) {
  static const std::map<std::string_view, std::string_view> escapes{
      {"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}, {"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}};
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    const auto found =
        std::find_if(escapes.begin(), escapes.end(), [&](const auto& e) { return rest.starts_with(e.first); });
    safe += found == escapes.end() ? rest.substr(0, 1) : found->second;
    i += found == escapes.end() ? 1 : found->first.size();
  }
  return safe;
}

std::string page_json(const explanation& e) {
  json page = to_json(e);
  page["palettes"] = {{"diverging", colours(palette::diverging)},
                      {"diverging_dark", colours(palette::diverging_dark)},
                      {"sequential", colours(palette::sequential)},
                      {"not_finite", colours({&palette::not_finite, 1})}};
  return escaped_for_script(page.dump());
}

/// One block a layer, so that the page decodes only the layers that are looked at.
std::string map_blocks(const explanation& e) {
  std::string blocks;
  for (std::size_t k = 0; k < e.maps.size(); ++k) {
    blocks += "<script type=\"application/octet-stream;base64\" id=\"map-" + std::to_string(k) + "\">";
    blocks += base64(little_endian_bytes(std::span<const float>(e.maps[k].values)));
    blocks += "</script>\n";
  }
  return blocks;
}

std::string fill(std::string_view page, const std::map<std::string_view, std::string_view>& places) {
  std::string out;
  for (;;) {
    const std::size_t open = page.find("{{");
    out += page.substr(0, open);
    if (open == std::string_view::npos) return out;
    const std::size_t close = page.find("}}", open);
    const auto place = places.find(page.substr(open + 2, close - open - 2));
    if (close == std::string_view::npos || place == places.end()) {
      throw internal_error("[report] the template has an unknown place at byte " + std::to_string(out.size()) +
                           "; please report this");
    }
    out += place->second;
    page.remove_prefix(close + 2);
  }
}

}  // namespace

std::string report_html(const explanation& e) {
  const std::string explanation_json = page_json(e);
  const std::string maps = map_blocks(e);
  return fill(embedded::report_html, {{"report.css", embedded::report_css},
                                      {"heat_map.js", embedded::heat_map_js},
                                      {"report.js", embedded::report_js},
                                      {"formula", e.formula_mathml},
                                      {"derivation", e.derivation_html},
                                      {"explanation", explanation_json},
                                      {"maps", maps}});
}

}  // namespace alphaform

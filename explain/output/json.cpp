// Plain values to JSON; the order of tokens, layers, checks and settings is kept by arrays.
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/maps.hpp>
#include <alphaform/explain/output/shapes.hpp>
#include <alphaform/explain/output/utf8.hpp>
#include <nlohmann/json.hpp>

namespace alphaform {
namespace {

using nlohmann::json;

json tokens(const explanation& e) {
  json list = json::array();
  for (std::size_t i = 0; i < e.pieces.size(); ++i) {
    list.push_back({{"piece", valid_utf8(e.pieces[i])},
                    {"id", e.ids[i]},
                    {"special", static_cast<bool>(e.special[i])},
                    {"score", e.scores[i]}});
  }
  return list;
}

json predictions(const explanation& e) {
  json list = json::array();
  for (const prediction& p : e.predictions) {
    list.push_back({{"label", valid_utf8(p.label)}, {"probability", p.probability}});
  }
  return list;
}

json maps(const explanation& e) {
  json list = json::array();
  const std::size_t count = e.pieces.size();
  for (const layer_map& map : e.maps) {
    list.push_back({{"name", map_name(map)},
                    {"layer", map.layer},
                    {"reduction", valid_utf8(map.reduction)},
                    {"shape", {count, count}}});
  }
  return list;
}

json settings(const explanation& e) {
  json list = json::array();
  for (const auto& [name, value] : e.settings) {
    list.push_back({{"name", valid_utf8(name)}, {"value", valid_utf8(value)}});
  }
  return list;
}

}  // namespace

json to_json(const explanation& e) {
  check_shapes(e);
  return {{"model", valid_utf8(e.model)},
          {"model_type", valid_utf8(e.model_type)},
          {"method", valid_utf8(e.method)},
          {"text", valid_utf8(e.text)},
          {"tokens", tokens(e)},
          {"predictions", predictions(e)},
          {"maps", maps(e)},
          {"checks", to_json(std::span<const check>(e.checks))},
          {"settings", settings(e)}};
}

json to_json(std::span<const check> checks) {
  json list = json::array();
  for (const check& c : checks) {
    json entry{{"name", valid_utf8(c.name)}};
    if (c.skipped.empty()) {
      entry.update({{"max_abs", c.max_abs}, {"scale", c.scale}, {"tolerance", c.tolerance}, {"pass", c.pass}});
    } else {
      entry["skipped"] = valid_utf8(c.skipped);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

std::string json_text(const json& value) { return value.dump(2) + "\n"; }

}  // namespace alphaform

// result.json: values survive, order is kept, bytes that are not UTF-8 do not break the file.
#include <doctest/doctest.h>

#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/maps.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "sample.hpp"

using alphaform::check;
using nlohmann::json;

TEST_CASE("json: an explanation parses back to its values") {
  const alphaform::explanation e = alphaform::sample::hostile();
  const json parsed = json::parse(alphaform::json_text(alphaform::to_json(e)));
  CHECK(parsed["text"] == e.text);
  for (std::size_t i = 0; i < e.pieces.size(); ++i) {
    CHECK(parsed["tokens"][i] ==
          json{{"piece", e.pieces[i]}, {"id", e.ids[i]}, {"special", bool{e.special[i]}}, {"score", e.scores[i]}});
  }
  CHECK(parsed["predictions"][0] == json{{"label", "positive"}, {"probability", 0.75}});
  CHECK(parsed["maps"][1] == json{{"name", "layer_5"}, {"layer", 5}, {"reduction", "mean"}, {"shape", {3, 3}}});
  CHECK(parsed["settings"][0]["name"] == "zeta");
  CHECK(parsed["settings"][1]["name"] == "alpha");
}

TEST_CASE("json: a check that was made has numbers, one that was skipped has its reason") {
  const std::vector<check> checks{{"a", 1e-7, 2, 1e-5, true, ""}, {"b", 0, 0, 0, false, "too long"}};
  CHECK(alphaform::to_json(std::span<const check>(checks)) ==
        json::parse(R"([{"name": "a", "max_abs": 1e-7, "scale": 2.0, "tolerance": 1e-5, "pass": true},
                        {"name": "b", "skipped": "too long"}])"));
}

TEST_CASE("json: half a character becomes U+FFFD, a score that is not a number becomes null") {
  alphaform::explanation e = alphaform::sample::hostile();
  e.pieces[1] = "\xe4\xbd";                               // two of the three bytes of a character
  e.pieces[2] = "\xc0\x80\xed\xa0\x80 \xf0\x9f\x90\x8d";  // overlong, surrogate, then a well-formed snake
  e.scores[1] = std::numeric_limits<float>::quiet_NaN();
  const json parsed = json::parse(alphaform::json_text(alphaform::to_json(e)));
  CHECK(parsed["tokens"][1]["piece"] == "\uFFFD\uFFFD");
  CHECK(parsed["tokens"][2]["piece"] == "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD \U0001F40D");
  CHECK(parsed["tokens"][1]["score"].is_null());
}

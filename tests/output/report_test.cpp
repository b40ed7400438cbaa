// The page is one file that asks for nothing, and no token gets out of its block.
#include <doctest/doctest.h>

#include <alphaform/explain/output/base64.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/report.hpp>
#include <cstring>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "sample.hpp"

namespace {

using nlohmann::json;

std::size_t count(const std::string& page, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1)) ++found;
  return found;
}

/// What a browser takes as the content of the script element that `opening` starts.
std::string block(const std::string& page, const std::string& opening) {
  const std::size_t start = page.find(opening);
  REQUIRE(start != std::string::npos);
  const std::size_t content = start + opening.size();
  return page.substr(content, page.find("</script", content) - content);
}

std::string explanation_block(const std::string& page) {
  return block(page, "<script type=\"application/json\" id=\"explanation\">");
}

std::vector<float> decode_floats(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int held = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6U | static_cast<unsigned>(digits.find(c));
    held += 6;
    if (held >= 8) bytes += static_cast<char>(bits >> static_cast<unsigned>(held -= 8) & 0xffU);
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("report: a hostile token stays inside of the JSON block") {
  const std::string page = alphaform::report_html(alphaform::sample::hostile());
  CHECK(count(page, "<img") == 0);
  CHECK(count(page, "<b>bold") == 0);
  CHECK(count(page, "</script") == 4);  // the JSON, the program and two maps
  CHECK(count(page, "<script") == 4);
  const std::string text = explanation_block(page);
  for (const char* forbidden : {"<", ">", "&", "\u2028", "\u2029", "\x1b", "\n"}) CHECK(count(text, forbidden) == 0);
}

TEST_CASE("report: the JSON block parses back to the explanation") {
  const alphaform::explanation e = alphaform::sample::hostile();
  json parsed = json::parse(explanation_block(alphaform::report_html(e)));
  CHECK(parsed["palettes"]["diverging"][5] == json{247, 247, 247});
  parsed.erase("palettes");
  CHECK(parsed == json::parse(alphaform::to_json(e).dump()));
  CHECK(parsed["tokens"][1]["piece"] == e.pieces[1]);
}

TEST_CASE("report: the maps are base64 of the float32 values") {
  const alphaform::explanation e = alphaform::sample::hostile();
  const std::string page = alphaform::report_html(e);
  for (std::size_t k = 0; k < e.maps.size(); ++k) {
    const std::string opening =
        "<script type=\"application/octet-stream;base64\" id=\"map-" + std::to_string(k) + "\">";
    CHECK(decode_floats(block(page, opening)) == e.maps[k].values);
  }
}

TEST_CASE("report: nothing is loaded from elsewhere") {
  const std::string page = alphaform::report_html(alphaform::sample::hostile());
  CHECK(page.find("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                  "img-src data: blob:\">") != std::string::npos);
  CHECK(count(page, "http") == 1);  // the attribute http-equiv
  CHECK(count(page, "http-equiv") == 1);
  CHECK(count(page, "@import") == 0);
  CHECK(count(page, "url(") == 0);
  CHECK_FALSE(std::regex_search(page.substr(0, page.find("id=\"explanation\"")), std::regex("(src|href)\\s*=")));
}

TEST_CASE("report: the program makes no markup from strings") {
  const std::string page = alphaform::report_html(alphaform::sample::hostile());
  for (const char* markup : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("}) {
    CHECK(count(page, markup) == 0);
  }
}

TEST_CASE("report: our own formula and derivation are inserted as they are, inserted text is not a template") {
  const std::string page = alphaform::report_html(alphaform::sample::hostile());
  CHECK(count(page, "<math><mi>H</mi></math>") == 1);
  CHECK(count(page, "<h3>Step</h3>") == 1);
  CHECK(count(page, "{{maps}}") == 1);  // the value of a setting
  CHECK(count(page, "{{") == 1);
}

TEST_CASE("base64: the test vectors of RFC 4648, section 10") {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) CHECK(alphaform::base64(bytes) == text);
  CHECK(alphaform::base64("\xff\xfe\xfd") == "//79");
}

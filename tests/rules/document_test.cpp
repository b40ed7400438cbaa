// The derivation document: its numbers, its sections in every format, and what it says of a refusal.
#include <doctest/doctest.h>

#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/replay.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/document.hpp>
#include <alphaform/explain/evidence.hpp>
#include <nlohmann/json.hpp>

namespace alphaform {
namespace {

using nlohmann::json;

json document(const architecture& a, const std::optional<measured_miss>& golden = {}) {
  return json::parse(derivation_document(a, document_format::json, {golden}));
}
std::size_t count(std::string_view text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

// 1e-12: some hundred roundings of 1e-16 in products of matrices of size below 40 with entries of order one.
constexpr double rounding = 1e-12;

TEST_CASE("every step and y = H x + r hold to rounding") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const json doc = document(a);
    CHECK(doc["steps"].size() <= most_visible_steps);
    CHECK_FALSE(doc["steps"].empty());
    for (const json& step : doc["steps"]) {
      CHECK(step["operations_before"].is_string());
      CHECK(step["operations_after"].is_string());
    }
    for (const json& s : doc["steps"]) CHECK(s["miss"].get<double>() <= rounding);
    CHECK(doc["miss"].get<double>() <= rounding);
  }
}

TEST_CASE("norms, shifts and stacked filters hold to rounding too") {
  const auto x = input<"x">;
  const auto recurrence =
      unrolled(decay(exp(-exp(param<"A">))), write(input<"k">), bonus(param<"u">)) * silu(conv<"f", "b">(x));
  architecture a = find_architecture("mamba");
  a.printed = {};
  for (const expr& y : {norm<"w", "eps">(recurrence).e, norm<"w", "bias", "eps">(recurrence).e,
                        (gate(sigmoid(x)) * silu(shift<"mu">(silu(conv<"f", "b">(x))))).e}) {
    a.attention = y;
    const derivation d = derive(y);
    REQUIRE(d.refused == absent);
    const derivation_evidence e = measure(a, d, visible_steps(y));
    for (const double miss : e.steps) CHECK(miss <= rounding);
    CHECK(*e.whole <= rounding);
  }
}

TEST_CASE("the residual sees a wrong step") {
  const architecture& a = find_architecture("mamba");
  derivation d = derive(a.attention);
  visible_derivation steps = visible_steps(a.attention);
  d.formula = d.g.take(a.printed.H.g, a.printed.H.root);  // loses the skip
  steps.steps[3].after = steps.g.take(a.printed.H.g, a.printed.H.root);
  const derivation_evidence e = measure(a, d, steps);
  CHECK(e.steps[3] > 1e-3);
  CHECK(*e.whole > 1e-3);
}

TEST_CASE("Eq. 9 as printed misses y, and the document says by how much") {
  const architecture& a = find_architecture("mamba");
  const json doc = document(a, measured_miss{"layer 0 of the golden Mamba", 0.3125});
  CHECK(doc["printed"]["miss"].get<double>() > 1e-3);
  CHECK(doc["printed"]["measured"]["miss"] == 0.3125);
  const std::string text = derivation_document(a, document_format::text, {.printed = measured_miss{"layer 0", 0.3125}});
  CHECK(count(text, "On layer 0, the equation as printed misses y by 0.31 of its largest entry.") == 1);
}

TEST_CASE("the legend names the axes that occur") {
  const auto has = [](std::string_view name, std::string_view legend) {
    return count(derivation_document(find_architecture(name), document_format::markdown, {}), legend) == 1;
  };
  CHECK(has("mamba", "T tokens, C channels, N state entries, R ranks, K filter taps. "));
  CHECK(has("mamba2", "T tokens, G groups of heads, H heads, C channels, N state entries, K filter taps. "));
  CHECK(has("rwkv4", "T tokens, C channels. "));
}

TEST_CASE("names on a page keep the core of H in sight, and no formula is too long to read") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const std::string page = derivation_document(a, document_format::text, {}, true);
    std::size_t longest = 0;
    for (std::size_t at = 0, end = 0; at < page.size(); at = end + 1) {
      end = std::min(page.find('\n', at), page.size());
      longest = std::max(longest, end - at);
    }
    CHECK(longest < 800);
  }
  const std::string kda = derivation_document(find_architecture("kda"), document_format::text, {});
  CHECK(count(kda, "H = Diag(σ(g)) Diag(o_norm.weight) Diag(ρ) Contract[N] Diag(s1) Scan(M1) Diag(β·k') Expand[N]") ==
        1);
  CHECK(count(kda, "(I - Outer[N](β·k', k')) Diag(a')") == 1);  // the definition of M1
}

TEST_CASE("RWKV-4 has a stabilised form that is the same stream") {
  const json doc = document(find_architecture("rwkv4"));
  CHECK(doc["stabilised"]["miss"].get<double>() <= rounding);
  CHECK(doc["r"]["text"] == "0");
  CHECK_FALSE(document(find_architecture("mamba")).contains("stabilised"));
}

TEST_CASE("properties follow from the expression") {
  const json mamba = document(find_architecture("mamba"))["properties"];
  CHECK(mamba["class"] == "implicit");
  CHECK(mamba["data_controlled"] == true);
  CHECK(mamba["causal"] == true);
  CHECK(mamba["operations"] == "T·C·(5·N + 2·K + 2)");
  CHECK(mamba["costs"][0]["operations"] == "O(T·C·(N + K))");
  CHECK(mamba["costs"][2]["operations"] == "O(T²·(N + K))");
  CHECK(document(find_architecture("rwkv4"))["properties"]["operations"] == "7·T·C");

  const json factors = mamba["factors"];
  CHECK(factors[1]["role"] == "core");
  CHECK(factors[1]["reads"] == "all earlier tokens, fading");
  CHECK(factors[4]["role"] == "filter");
  CHECK(factors[4]["bandwidth"] == "K - 1");

  const auto mixing = diag(input<"z">) * op<chan, chan>{build::mix(param<"W">.e, chan, chan)} * delay;
  CHECK(classify(mixing.e).is == attention_class::tensor);
  CHECK(classify(centre(input<"x">).e).is == attention_class::tensor);
  CHECK(classify(fir<"f">.e).is == attention_class::implicit);
  CHECK_FALSE(classify(fir<"f">.e).data_controlled);
  CHECK(classify(diag(input<"z">).e).is == attention_class::explicit_);
}

TEST_CASE("the Jacobian is the value path and one term for each control, for every input") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const json doc = json::parse(derivation_document(a, document_format::json, {}, true));
    REQUIRE(doc["jacobian"].size() == a.inputs.size());
    for (const json& one : doc["jacobian"]) {
      CAPTURE(one["input"].get<std::string>());
      CHECK(one["miss"].get<double>() <= rounding);
      CHECK(one["miss_of_paths"].is_null() != one.contains("H"));  // split where the input has a value path
      if (one.contains("H")) CHECK(one["miss_of_paths"].get<double>() <= rounding);
      for (const json& path : one["paths"]) CHECK(path["operations"].is_string());
    }
  }
  const json mamba = json::parse(derivation_document(find_architecture("mamba"), document_format::json, {}, true));
  const json& x = mamba["jacobian"][0];
  CHECK(x["paths"].size() == 4);  // sigma(c), C, exp(Delta A), Delta B
  CHECK(x["paths"][1]["control"]["text"] == "C");
  CHECK(x["paths"][1]["before"]["text"] == "Diag(SiLU(z)) Contract[N] Diag(h1) Expand[C] J(C)");
}

TEST_CASE("a refused derivation is a document that names the term") {
  architecture a = find_architecture("mamba");
  a.attention = (let<"b">(input<"x"> * input<"z">)).e;
  const json doc = document(a);
  CHECK(doc["refused"]["text"] == "b");
  CHECK(doc["miss"].is_null());
  CHECK_FALSE(doc.contains("H"));
  const std::string text = derivation_document(a, document_format::text, {});
  CHECK(count(text, "Refused: this declaration has no implicit attention") == 1);
  CHECK(doc["refused"]["rule"]["name"] == "product of two streams");
  CHECK(count(text, "\"product of two streams\", is unsound") == 1);
}

TEST_CASE("every format has every section") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const std::string text = derivation_document(a, document_format::text, {});
    const std::string markdown = derivation_document(a, document_format::markdown, {});
    const std::string latex = derivation_document(a, document_format::latex, {});
    const std::string html = derivation_document(a, document_format::html, {});
    const std::string page = derivation_document(a, document_format::html_page, {}, true);
    const std::size_t sections = count(markdown, "\n## ");
    CHECK(sections >= 5);
    CHECK(count(latex, "\\section*{") == sections);
    CHECK(count(html, "<h4>") == sections);
    CHECK(count(text, "\n---") == sections);
    CHECK(count(markdown, "```math\n") * 2 == count(markdown, "```"));
    CHECK(count(latex, "\\begin{") == count(latex, "\\end{"));
    CHECK(count(latex, "{") - count(latex, "\\{") == count(latex, "}") - count(latex, "\\}"));
    CHECK(count(latex, "$") % 2 == 0);
    for (const char c : latex) REQUIRE(static_cast<unsigned char>(c) < 128);
    CHECK(page.starts_with("<!DOCTYPE html>"));
    CHECK(count(page, "<script") == 0);
    CHECK(count(page, "http") == 0);
    CHECK(count(page, "<h4>Jacobian</h4>") == 1);
    for (const std::string tag : {"table", "tr", "td", "th", "math", "mrow", "mi", "mo", "p"})
      CHECK(count(html, "<" + tag + ">") + count(html, "<" + tag + " ") == count(html, "</" + tag + ">"));
  }
}

TEST_CASE("the steps that are shown end at the H that derive finds") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const derivation d = derive(a.attention);
    const visible_derivation shown = visible_steps(a.attention);
    REQUIRE_FALSE(shown.steps.empty());
    workspace both;
    CHECK(taken(both, {shown.g, shown.steps.back().after}) == taken(both, {d, d.formula}));
  }
}

}  // namespace
}  // namespace alphaform

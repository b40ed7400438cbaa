// Printed formulas, letter by letter, and precedence: every bracket that is needed and none that is not.
#include <doctest/doctest.h>

#include <alphaform/algebra/print.hpp>
#include <alphaform/architectures/registry.hpp>
#include <string>
#include <vector>

namespace alphaform {
namespace {

std::string text(const expr& e) { return print(e, notation::text); }
std::string latex(const expr& e) { return print(e, notation::latex); }

/// Every opened element is closed in order, and every & begins an entity.
bool well_formed(std::string_view xml) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < xml.size(); ++at) {
    if (xml[at] == '>') return false;
    if (xml[at] == '&' && xml.substr(at, 5) != "&amp;" && xml.substr(at, 4) != "&lt;" && xml.substr(at, 4) != "&gt;")
      return false;
    if (xml[at] != '<') continue;
    const std::size_t end = xml.find('>', at);
    if (end == xml.npos) return false;
    const std::string tag(xml.substr(at + 1, end - at - 1));
    if (tag.front() == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = end;
  }
  return open.empty();
}

const derivation& derived(std::string_view name) {
  static const derivation mamba = derive(find_architecture("mamba").attention);
  static const derivation rwkv4 = derive(find_architecture("rwkv4").attention);
  return name == "mamba" ? mamba : rwkv4;
}

TEST_CASE("H of Mamba is the paper's Eq. 9 with the skip") {
  const derivation& d = derived("mamba");
  CHECK(print({d, d.formula}, notation::text) ==
        "Diag(SiLU(z)) (Unrolled(exp(Δ·A), Δ·B, C) + Diag(D)) Diag(σ(c)) Conv(conv1d.weight)");
  CHECK(print({d, d.formula}, notation::latex) ==
        R"(\mathrm{Diag}(\mathrm{SiLU}(z)) \, (\mathrm{Unrolled}(\exp(\Delta \, A),\, \Delta \, B,\, C))"
        R"( + \mathrm{Diag}(\mathtt{D})) \, \mathrm{Diag}(\sigma(c)) \, \mathrm{Conv}(\mathtt{conv1d.weight}))");
}

TEST_CASE("H of RWKV-4 is the paper's Eq. 21") {
  const derivation& d = derived("rwkv4");
  CHECK(print({d, d.formula}, notation::text) == "Diag(σ(r)) Diag(1/(W 1)) W");
  CHECK(print({d, d.formula}, notation::latex) ==
        R"(\mathrm{Diag}(\sigma(r)) \, \mathrm{Diag}\!\left(\frac{1}{W \, \mathbf{1}}\right) \, W)");
}

TEST_CASE("brackets follow precedence") {
  const auto a = input<"a">, b = input<"b">;
  const auto P = diag(a), Q = fir<"f">;
  CHECK(text(((a + b) * b).e) == "(a + b)·b");
  CHECK(text((a * b + b).e) == "a·b + b");
  CHECK(text((a + -(b + a)).e) == "a - (b + a)");
  CHECK(text((a + -(b * a)).e) == "a - b·a");
  CHECK(text((-a * b).e) == "(-a)·b");
  CHECK(text((-(-a)).e) == "-(-a)");
  CHECK(text((reciprocal(a + b) * a).e) == "(1/(a + b))·a");
  CHECK(latex((reciprocal(a + b) * a).e) == R"(\frac{1}{a + b} \, a)");
  CHECK(text(reciprocal(reciprocal(a)).e) == "1/(1/a)");
  CHECK(text(square(a * b).e) == "(a·b)²");
  CHECK(latex(square(square(a)).e) == R"({({a}^2)}^2)");
  CHECK(text(complement(a + b).e) == "1 - (a + b)");
  CHECK(text(complement(a * b).e) == "1 - a·b");
  CHECK(text(rsqrt(a + b).e) == "1/√(a + b)");
  CHECK(text(((P + Q) * Q).e) == "(Diag(a) + Conv(f)) Conv(f)");
  CHECK(text((P * Q + Q).e) == "Diag(a) Conv(f) + Conv(f)");
  CHECK(text(((P + Q) * (a + b)).e) == "(Diag(a) + Conv(f)) (a + b)");
  CHECK(text(((Q * a) * b).e) == "(Conv(f) a)·b");
  CHECK(text((Q * (a * b)).e) == "Conv(f) (a·b)");
  CHECK(text((P * (Q * a) + b).e) == "Diag(a) Conv(f) a + b");
  CHECK(text(centre(input<"x">).e) == "I + Diag(-1/C) Expand[C] Contract[C]");
}

TEST_CASE("labels are names inside and definitions at the root") {
  const auto Delta = let<"Delta">(softplus(input<"a">));
  CHECK(text(exp(Delta).e) == "exp(Δ)");
  CHECK(text(Delta.e) == "softplus(a)");
  CHECK(print(Delta.e, notation::text, false) == "Δ");
  CHECK(print(Delta.e, notation::latex, false) == R"(\Delta)");
  CHECK(print(Delta.e, notation::mathml, false) == "<mrow><mi>Δ</mi></mrow>");
  CHECK(latex(let<"wkv">(Delta).e) == R"(\mathrm{softplus}(a))");
  CHECK(print(let<"wkv">(Delta).e, notation::latex, false) == R"(\mathit{wkv})");
  CHECK(latex(param<"A_log">.e) == R"(\mathtt{A\_log})");
}

TEST_CASE("MathML is well formed for every term of every architecture and for every rule") {
  CHECK_FALSE(well_formed("<mrow><mi>a</mrow></mi>"));
  for (const architecture& a : registry) {
    const derivation d = derive(a.attention);
    for (node_index i = 0; i < d.g.size; ++i) CHECK(well_formed(print({d, i}, notation::mathml)));
  }
  for (const rule& u : rules)
    for (const expr& side : {u.pattern, u.result}) CHECK(well_formed(print(side, notation::mathml)));
}

TEST_CASE("symbols say what they are, their shape and who controls them") {
  const derivation& d = derived("mamba");
  const auto all = symbols_of({d, d.output});
  const auto find = [&all](std::string_view name) {
    for (const symbol& s : all)
      if (s.name == name) return s;
    throw internal_error("no such symbol");
  };
  CHECK(all.size() == 17);
  CHECK(find("Delta").shape == "[T, C]");
  CHECK(controlled_by(find("Delta")) == "the token, through x");
  CHECK(find("B").shape == "[T, N]");
  CHECK(find("A").shape == "[C, N]");
  CHECK(controlled_by(find("A")) == "parameters only");
  CHECK(find("conv1d.weight").shape == "[C, K]");
  CHECK(find("x_proj.weight[B]").shape == "[N, C]");
  CHECK(controlled_by(find("x_proj.weight[B]")) == "parameter");
  CHECK(controlled_by(find("z")) == "input stream");
  const derivation& w = derived("rwkv4");
  for (const symbol& s : symbols_of({w, w.output}))
    if (s.name == "W") CHECK((s.shape == "[T, C] → [T, C]" && controlled_by(s) == "the token, through k"));
}

}  // namespace
}  // namespace alphaform

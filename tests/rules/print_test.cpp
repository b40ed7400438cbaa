// Printed formulas, letter by letter, and precedence: every bracket that is needed and none that is not.
#include <doctest/doctest.h>

#include <alphaform/algebra/naming.hpp>
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
  CHECK(text((P - diag(b) * Q).e) == "Diag(a) - Diag(b) Conv(f)");
}

TEST_CASE("transposes, complex numbers, attention and normalised rows") {
  const auto q = input<"q", state>, k = input<"k", state>;
  const auto x = input<"x">;
  const auto W = op<chan, chan>{build::mix(param<"W", chan>.e, chan, chan)};
  CHECK(text(adjoint(W).e) == "Wᵀ");
  CHECK(latex(adjoint(W).e) == R"({\mathtt{W}}^{\top})");
  CHECK(print(adjoint(W).e, notation::mathml) ==
        R"(<mrow><msup><mrow><mtext class="parameter">W</mtext></mrow><mo>⊤</mo></msup></mrow>)");
  CHECK(text(adjoint(W * delay).e) == "(W Delay)ᵀ");
  CHECK(text(rownorm(attend(q, k)).e) == "RowNorm(Attend(q, k))");
  CHECK(text(bounded_rownorm(fir<"f">).e) == "RowNorm1(Conv(f))");
  CHECK(text(normal(bounded_rownorm(fir<"f">)).e) == "Diag(1/max(|Conv(f) 1|, 1)) Conv(f)");
  CHECK(text((real * scan(rotate(x, param<"w">)) * embed).e) == "Re Scan(Diag(x·cos(w)) + Diag(x·sin(w)) i) Complex");
  CHECK(text((reverse * permute<"order">).e) == "Reverse Permute(order)");
  CHECK(text(diag(widen<chan>(number<"-0.5">) * x).e) == "Diag((-0.5)·x)");
  CHECK(text(build::leaf<terms::over_tokens>()) == "Contract[T]");
  CHECK(latex(build::leaf<terms::every_token>()) == R"(\mathrm{Expand}_{T})");
}

TEST_CASE("means, outer products, quarter turns and windows have names") {
  const auto x = input<"x">;
  const auto q = input<"q", state>, k = input<"k", state>;
  CHECK(text(centre(x).e) == "Centre[C]");
  CHECK(latex(centre(x).e) == R"(\mathrm{Centre}_{C})");
  CHECK(text((diag(-inverse_size<chan>(x)) * (expand<chan> * contract<chan>)).e) == "Diag(-1/C) Expand[C] Contract[C]");
  CHECK(text(rho<"eps">(x).e) == "1/√(Mean[C] x² + eps)");
  CHECK(text((diag(inverse_size<chan>(x)) * contract<state>).e) == "Diag(1/C) Contract[N]");  // not a mean
  CHECK(text((diag(q) * expand<state> * contract<state> * diag(k)).e) == "Outer[N](q, k)");
  CHECK(text((diag(q) * expand<state> * contract<state>).e) == "Diag(q) Expand[N] Contract[N]");
  CHECK(text((quarter_turn<state> * q).e) == "Turn[N] q");
  CHECK(text(turn.e) == "i");
  CHECK(text(local_attend<"window">(q, k).e) == "Attend[window](q, k)");
  CHECK(latex(local_attend<"window">(q, k).e) == R"(\mathrm{Attend}_{\mathtt{window}}(q,\, k))");
}

TEST_CASE("a label that is spelled as an input gets a prime") {
  expr y = (diag(let<"k">(sigmoid(input<"k">))) * input<"x">).e;
  std::deque<std::string> names;
  CHECK(text(y) == "Diag(k) x");
  distinguish_labels(y, names);
  CHECK(text(y) == "Diag(k') x");
  CHECK(latex(y) == R"(\mathrm{Diag}({k}') \, x)");
  CHECK(well_formed(print(y, notation::mathml)));
}

TEST_CASE("what controls y gets names, the value path from the recurrence on does not") {
  const auto x = input<"x">;
  const auto gate_of = sigmoid(conv<"filter", "bias">(input<"z">) + conv<"other filter", "other bias">(input<"z">));
  const auto core = scan(exp(param<"w">)) * x;
  const expr y = (diag(gate_of) * (diag(let<"rho">(rho<"eps">(core))) * core)).e;
  named_terms n = with_named_controls({y});
  CHECK(print(n.of(y), notation::text) == "Diag(σ(s1)) Diag(ρ) Scan(exp(w)) x");
  REQUIRE(n.defined.size() == 1);
  CHECK(print({n.g, n.defined[0]}, notation::text) == "Conv(filter) z + bias + Conv(other filter) z + other bias");
  const named_terms more = with_names({build::with<terms::times>(y, y)}, &n);
  for (const std::string& name : more.names) CHECK(name != "s1");  // numbers go on
}

TEST_CASE("a marker says with respect to what, unless that is the value input") {
  const auto silu_of = [](const auto& s) { return silu(s).e; };
  const auto x = input<"x">, z = input<"z">;
  CHECK(text(build::with<terms::frozen>(silu_of(x), x.e)) == "F(SiLU(x))");
  CHECK(text(build::with<terms::derivative>(silu_of(z), z.e)) == "J[z](SiLU(z))");
  CHECK(latex(build::with<terms::controls>(silu_of(z), z.e)) == R"(\mathrm{G}_{z}(\mathrm{SiLU}(z)))");
}

TEST_CASE("a rule shows the brackets and held operands that it is about") {
  const auto printed = [](std::string_view name) {
    for (const rule& u : rules)
      if (u.name == name) return print(u.pattern, notation::text) + " = " + print(u.result, notation::text);
    throw internal_error("no such rule");
  };
  CHECK(printed("(P Q) R") == "(P Q) R = P Q R");
  CHECK(printed("P (Q x)") == "P (Q x) = P Q x");
  CHECK(printed("derivative through an operator") == "J[v](P x) = P J[v](x) + J[v](P held(x))");
}

TEST_CASE("long terms get names that repeat from run to run") {
  const auto x = input<"x">;
  const auto inner = sigmoid(conv<"filter", "bias">(x));
  const auto state_of = scan(exp(param<"w">)) * inner;
  const expr y = (diag(state_of) * (diag(inner) * (diag(delay * state_of) * x))).e;
  const named_terms n = with_names({y});
  const auto definition = [&n](std::size_t k) { return print({n.g, n.defined[k]}, notation::text); };
  CHECK(print({n.g, n.terms[0]}, notation::text) == "Diag(h1) Diag(s1) Diag(Delay h1) x");
  REQUIRE(n.defined.size() == 2);
  CHECK(definition(0) == "Scan(exp(w)) s1");
  CHECK(definition(1) == "σ(Conv(filter) x + bias)");
  CHECK(n.names[0] == "h1");
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
    for (const side& e : {u.pattern, u.result}) CHECK(well_formed(print(e, notation::mathml)));
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
  for (const symbol& s : symbols_of(find_architecture("mamba2").attention)) {
    if (s.name == "conv1d.weight[x]") CHECK(s.shape == "[G, H, C, K]");
    if (s.name == "conv1d.weight[B]") CHECK(s.shape == "[G, N, K]");
  }
  const derivation& w = derived("rwkv4");
  for (const symbol& s : symbols_of({w, w.output}))
    if (s.name == "W") CHECK((s.shape == "[T, C] → [T, C]" && controlled_by(s) == "the token, through k"));
}

}  // namespace
}  // namespace alphaform

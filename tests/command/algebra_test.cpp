// The subcommands that need no model: rules, compare, and derive's page and Jacobian.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "run_command.hpp"

namespace alphaform {
namespace {

using nlohmann::json;
using test::check_refusal;
using test::output_of;

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("rules lists every row with its class, source and how often it fires") {
  const json all = json::parse(output_of({"rules", "--json"}));
  REQUIRE(all.size() > 100);
  const auto find = [&all](std::string_view name) {
    const auto at = std::find_if(all.begin(), all.end(), [name](const json& u) { return u["name"] == name; });
    REQUIRE(at != all.end());
    return *at;
  };
  const json silu = find("activation silu");
  CHECK(silu["class"] == "frozen");
  CHECK(silu["pattern"]["text"] == "F[v](SiLU(x))");
  CHECK(silu["result"]["text"] == "Diag(σ(x)) F[v](x)");
  CHECK(silu["fires"].get<long>() >= 1);
  CHECK(find("row normalisation")["fires"].get<long>() >= 1);
  CHECK(find("independent")["condition"] == "x does not depend on v");
  for (const json& u : all) {
    CAPTURE(u["name"].get<std::string>());
    CHECK_FALSE(u["source"].get<std::string>().empty());
    if (u["refused"] == true) CHECK(u["fires"] == 0);
  }
}

TEST_CASE("rules shows the unsound ones as refused, one class if asked for") {
  const std::string all = output_of({"rules"}), unsound = output_of({"rules", "--class", "unsound"});
  CHECK(contains(all, "Refused\n-------\n"));
  CHECK(contains(unsound, "Diag and Conv do not commute"));
  CHECK(contains(unsound, "not   Diag(x) Conv(w) = Conv(w) Diag(x)"));
  CHECK_FALSE(contains(unsound, "Frozen\n"));
  const json frozen = json::parse(output_of({"rules", "--json", "--class", "frozen"}));
  for (const json& u : frozen) CHECK(u["class"] == "frozen");
  check_refusal({"rules", "--class", "purple"}, "known are frozen, mathematical");
  check_refusal({"rules", "--class", ""}, "known are frozen, mathematical");
}

TEST_CASE("compare aligns the factors of two architectures") {
  const std::string text = output_of({"compare", "mamba", "rwkv4"});
  CHECK(contains(text, "rwkv4 = Diag(1/(W 1)) Diag(σ(r)) W"));
  CHECK(contains(text, "only in rwkv4"));
  CHECK(contains(text, "same role"));
  const std::string itself = output_of({"compare", "mamba", "mamba"});
  CHECK(contains(itself, "the same"));
  CHECK_FALSE(contains(itself, "only in"));
  CHECK_FALSE(contains(itself, "yes"));
}

TEST_CASE("compare refuses an unknown name with the known ones") {
  check_refusal({"compare", "mamba", "transformer"}, "known are mamba");
  check_refusal({"compare", "transformer", "mamba"}, "known are mamba");
}

TEST_CASE("derive shows the Jacobian only if asked for, and a page stands alone") {
  CHECK_FALSE(contains(output_of({"derive", "mamba"}), "Jacobian"));
  const std::string text = output_of({"derive", "mamba", "--jacobian"});
  CHECK(contains(text, "J(y) = H + P1 + P2 + P3 + P4"));
  CHECK(contains(text, "J[z](y) = P1"));
  const std::string page = output_of({"derive", "rwkv4", "--jacobian", "--format", "html"});
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(contains(page, "<math"));
  CHECK_FALSE(contains(page, "<script"));
}

}  // namespace
}  // namespace alphaform

// What the overview says of architectures, against what their papers say.
#include <doctest/doctest.h>

#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/traits.hpp>

namespace alphaform {
namespace {

architecture_traits traits(std::string_view name) { return traits_of(find_architecture(name), notation::text); }

TEST_CASE("the schematic of Mamba is the paper's Eq. 9 with the skip, that of RWKV-4 its Eq. 21") {
  CHECK(traits("mamba").formula == "G (α + D) Z M");
  CHECK(traits("rwkv4").formula == "G S α");
  CHECK(traits("attention").formula == "S α");
  CHECK(traits("griffin").formula == "G α M");  // Eq. 17
}

TEST_CASE("decays are as the papers define them") {
  CHECK(traits("mamba").decay == "per channel and state entry, from the token");  // exp(Delta_t A)
  CHECK(traits("mamba2").decay == "per group and head, from the token");
  CHECK(traits("rwkv4").decay == "per channel, fixed");
  CHECK(traits("rwkv5").decay == "per head and key channel, fixed");
  CHECK(traits("rwkv6").decay == "per head and key channel, from the token");
  CHECK(traits("retnet").decay == "per group and head, fixed");
  CHECK(traits("linear_attention").decay == "none");
  CHECK(traits("delta_net").decay == "matrix (delta rule), from the token");
  CHECK(traits("kda").decay == "matrix (delta rule), and per group and head and key channel, from the token");
  CHECK(traits("hgrn_complex").decay == "complex, per channel, from the token");
  CHECK(traits("lru").decay == "complex, per state entry, fixed");
}

TEST_CASE("only delta rules have no parallel scan of composed steps") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const architecture_traits t = traits_of(a, notation::text);
    if (!t.scan.empty()) CHECK((t.scan == "token by token") == t.decay.starts_with("matrix"));
  }
}

TEST_CASE("S5 and LRU are tensors that no data controls and RMS norms keep channels apart, centring ones do not") {
  for (const std::string_view name : {"s5", "lru"}) {
    CHECK(traits(name).properties.is == attention_class::tensor);
    CHECK_FALSE(traits(name).properties.data_controlled);
  }
  CHECK(traits("retnet").normaliser == "RMS over C");
  CHECK(traits("retnet").properties.is == attention_class::implicit);
  CHECK(traits("rwkv6").normaliser == "mean and variance over C");
  CHECK(traits("rwkv6").properties.is == attention_class::tensor);
  CHECK(traits("mamba2").normaliser == "RMS over G, H, C");
  CHECK(traits("mamba2_grouped").normaliser == "RMS over H, C");
}

TEST_CASE("reads, remainders and directions") {
  CHECK(traits("rwkv4").read == "earlier tokens, own one by a bonus");
  CHECK(traits("mamba").read == "own token too");
  CHECK(traits("mamba").remainder == "conv1d.bias");
  CHECK(traits("rwkv4").remainder.empty());
  CHECK(traits("rwkv7").remainder == "ν·v_first, ln_x.bias");
  CHECK(traits("vim").properties.direction == "two-sided");
}

}  // namespace
}  // namespace alphaform

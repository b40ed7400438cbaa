// A gated moving average, declared and derived outside alphaform.
#include <alphaform/alphaform.hpp>
#include <filesystem>
#include <iostream>

namespace {
using namespace alphaform;

constexpr auto x = input<"x">, z = input<"z">;
constexpr auto average = gate(silu(z)) * (scan(sigmoid(param<"decay">)) * conv<"taps", "bias">(x));
constexpr auto derived = derive(average);
constexpr auto H = gate(silu(z)) * scan(sigmoid(param<"decay">)) * fir<"taps">;
constexpr auto r = gate(silu(z)) * (scan(sigmoid(param<"decay">)) * param<"bias">);
static_assert(normal(derived.H()) == normal(H));
static_assert(derived.r() == normal(r));
}  // namespace

int main() {
  std::cout << "H = " << print({derived, derived.formula}, notation::text) << '\n';
  std::cout << "mamba: " << find_architecture("mamba").title << '\n';
  return std::filesystem::is_directory(MODELS) ? 0 : 1;
}

// Every architecture that alphaform knows. A new one is its header and its place in this tuple.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <alphaform/architectures/mamba.hpp>
#include <alphaform/architectures/mamba2.hpp>
#include <alphaform/architectures/rwkv4.hpp>
#include <array>
#include <string>

namespace alphaform {

inline constexpr auto declarations =
    hana::make_tuple(architectures::mamba{}, architectures::mamba2{}, architectures::rwkv4{});

inline constexpr auto registry = tabulate(declarations, [](auto d) { return as_architecture<decltype(d)>(); });

/// @throws user_error that lists the names when there is no such architecture
inline const architecture& find_architecture(std::string_view name) {
  std::string known;
  for (const architecture& a : registry) {
    if (a.name == name) return a;
    known += std::string(known.empty() ? "" : ", ") + std::string(a.name);
  }
  throw user_error("there is no architecture '" + std::string(name) + "'; known are " + known);
}

}  // namespace alphaform

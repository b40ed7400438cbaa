// Parts that several layers have or do without.
#pragma once
#include <alphaform/architectures/architecture.hpp>

namespace alphaform::architectures {

/// gate(SiLU(g)) y of a gated layer, y of another.
template <bool Gated, name Gate, axes A>
constexpr stream<A> gated(const stream<A>& y) {
  if constexpr (Gated) return gate(silu(input<Gate, A>)) * y;
  return y;
}

/// SiLU of a filter along each of the axes Filters, for a layer that has one.
template <bool Filtered, name Taps, name Bias, axes Filters, axes A>
constexpr stream<A> filtered(const stream<A>& s) {
  if constexpr (Filtered) return silu(fir<Taps, Filters> * s + widen<A>(param<Bias, Filters>));
  return s;
}

/// s over its root mean square, for a layer that normalises what controls it.
template <bool Normalised, name Epsilon, axes A>
constexpr stream<A> normalised(const stream<A>& s) {
  if constexpr (Normalised) return diag(rho<Epsilon>(s)) * s;
  return s;
}

/// The first inputs of a layer, without the last where it lacks that.
template <std::size_t N>
constexpr std::span<const projection> inputs_of(const projection (&all)[N], bool with_last) {
  return {all, with_last ? N : N - 1};
}

}  // namespace alphaform::architectures

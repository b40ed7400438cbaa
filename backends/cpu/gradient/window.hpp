// The sums of one scan over tokens, channels and states, as `gradient.cpp` cuts them out of views of more axes.
#pragma once
#include <alphaform/backends/cpu/states/window.hpp>
#include <alphaform/backends/kernels.hpp>
#include <cstddef>
#include <span>

namespace alphaform::cpu {

/// What a result is, or what is added to it, whose strides are 0 along axes that it is a sum over.
struct window_sum final {
  state_product of;
  bool is_first;  ///< what the result was is not added to
  strided_factors weight;
  float* to;
  std::ptrdiff_t token, chan, state;
};

/// No u, nor x and g, depends on the state.
struct gradient_window final {
  std::size_t tokens, channels, states;
  bool logarithmic, exclusive;
  strided_factors decay, write, read;
  strided x, g;
  std::span<const window_sum> sums;
};

void add_sums(const gradient_window&);

}  // namespace alphaform::cpu

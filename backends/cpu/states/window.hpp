// One scan over tokens, channels and states, as `states.cpp` cuts it out of views of more axes.
#pragma once
#include <array>
#include <cstddef>

namespace alphaform::cpu {

/// Where an operand's first entry lies and how far it is to the next; 0 along an axis along which it repeats.
struct strided final {
  const float* data;
  std::ptrdiff_t token, chan, state;
};
struct strided_factors final {
  strided u, v;
};

/// Step i takes the decay of token i - decay_lag and the input of token i - write_lag and makes the result of token i.
/// So one loop, state <- a state + b x and y = c state, is every kind of scan: with both lags 1 it reads before it
/// writes, with decay_lag 1 it decays last; transposes run over tokens of negative stride. Strides of h are
/// along channels and states.
struct states_window final {
  std::size_t tokens, channels, states;
  bool logarithmic;
  std::size_t decay_lag, write_lag;
  strided_factors decay, write, read;
  strided x;
  float* h;
  std::ptrdiff_t h_chan, h_state;
  float* y;
  std::ptrdiff_t y_token, y_chan;
  std::array<strided, 4> here{};  ///< streams of which later tokens will be needed
  std::array<strided, 4> soon{};  ///< streams to be fetched instead; data is null of those that there are not
};

void scan(const states_window&);

}  // namespace alphaform::cpu

// The matrices of many channels taken together, without ever storing one of them.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cpu {

/// Adds to `map` [T, column T] what is taken over the channels, or raises it to the maximum; entries above the diagonal
/// stay as they are. Works on all threads.
void channel_map(const channel_matrices<float>&, over_channels, view<float> map);

/// Whether sums may use the processor's matrix unit (AMX), which is faster and some ten times less exact; so it is at
/// first, wherever there is one.
void allow_amx(bool);

}  // namespace alphaform::cpu

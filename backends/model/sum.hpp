// The stream between layers and what a block adds to it.
#pragma once
#include <fmt/core.h>

#include <alphaform/backends/tensor.hpp>

namespace alphaform {

/// x + y for streams [T, D]. @throws user_error where they are not of one width, as the weights of a block decide it
template <class T>
tensor<T> sum(const tensor<T>& x, const tensor<T>& y, const kernels<T>& k) {
  if (x.v.of(axis::chan) != y.v.of(axis::chan))
    throw user_error(fmt::format("a block of width {} is added to a stream of width {}: a weight has the wrong shape",
                                 y.v.of(axis::chan), x.v.of(axis::chan)));
  const tensor<T> z = arena<T>(k).make(x.v.size);
  k.plus(x, y, z);
  return z;
}

}  // namespace alphaform

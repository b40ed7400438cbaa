// Loops over views, one entry at a time.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::reference {

/// Calls f(offsets of the operands ...) for every entry of `size`, in memory order.
template <class F, class... View>
void each(const extents& size, F f, const View&... v) {
  for (std::size_t t = 0; t < size[0]; ++t)
    for (std::size_t h = 0; h < size[1]; ++h)
      for (std::size_t c = 0; c < size[2]; ++c)
        for (std::size_t n = 0; n < size[3]; ++n)
          for (std::size_t r = 0; r < size[4]; ++r)
            for (std::size_t s = 0; s < size[5]; ++s)
              f(v.data[t * v.stride[0] + h * v.stride[1] + c * v.stride[2] + n * v.stride[3] + r * v.stride[4] +
                       s * v.stride[5]]...);
}

/// The extents without the token axis: what one token holds.
constexpr extents one_token(extents size) {
  at(size, axis::token) = 1;
  return size;
}

}  // namespace alphaform::reference

// Loops over views, one entry at a time.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::reference {

/// Where one operand of a loop is.
template <class T>
struct cursor final {
  T* at;
  const extents* stride;
};

template <std::size_t Axis, class F, class... T>
void walk(const extents& size, F& f, cursor<T>... c) {
  if constexpr (Axis == axis_count) {
    f(*c.at...);
  } else {
    for (std::size_t k = 0; k < size[Axis]; ++k)
      walk<Axis + 1>(size, f, cursor<T>{c.at + k * (*c.stride)[Axis], c.stride}...);
  }
}

/// Calls f(entries of the operands ...) for every entry of `size`, in memory order.
template <class F, class... T>
void each(const extents& size, F f, const view<T>&... v) {
  walk<0>(size, f, cursor<T>{v.data, &v.stride}...);
}

/// The entries of one token.
template <class T>
view<T> token(const view<T>& v, std::size_t t) {
  return v.slice(axis::token, t, t + 1);
}

/// The extents without the token axis: what one token holds.
constexpr extents one_token(extents size) {
  at(size, axis::token) = 1;
  return size;
}

}  // namespace alphaform::reference

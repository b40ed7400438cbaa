// How the operands of a kernel lie, as it is handed to the card: axes that follow each other are joined, those of one
// entry are left out, the fastest comes first.
#pragma once
#include <alphaform/view.hpp>
#include <cstdint>

namespace alphaform::cuda {

/// The tokens from the last to the first.
template <class T>
view<T> backwards(view<T> v) {
  const std::size_t step = v.step(axis::token);
  if (v.of(axis::token) > 1) v.data = v.from((v.of(axis::token) - 1) * step);
  at(v.stride, axis::token) = -step;
  return v;
}

/// Division by one number as a product: n / d = (n factor) >> (32 + shift) for n < 2^31, d > 1.
struct divisor final {
  std::uint32_t factor = 0, shift = 0;
};
constexpr divisor divisor_by(std::uint32_t d) {
  std::uint32_t log = 0;  // rounded up
  while ((std::uint64_t{1} << log) < d) ++log;
  const std::uint64_t power = std::uint64_t{1} << (31 + log);
  return {static_cast<std::uint32_t>((power + d - 1) / d), log - 1};
}

template <int Operands>
struct layout final {
  static constexpr std::uint64_t most_in_32_bits = std::uint64_t{1} << 31;

  int axes = 0;
  std::uint64_t entries = 1;
  std::uint32_t size[axis_count]{};
  divisor by[axis_count]{};                   ///< of size
  std::int64_t step[Operands][axis_count]{};  ///< in numbers; 0 where the operand is repeated
};

/// @param size  what is gone over; an operand's axis is as long, or 1
template <class... V>
layout<static_cast<int>(sizeof...(V))> layout_of(const extents& size, const V&... v) {
  constexpr int operands = sizeof...(V);
  layout<operands> l;
  for (std::size_t a = axis_count; a-- > 0;) {
    if (size[a] == 1) continue;
    const std::int64_t step[]{static_cast<std::int64_t>(v.stride[a])...};
    l.entries *= size[a];
    bool follows = l.axes > 0 && l.size[l.axes - 1] * static_cast<std::uint64_t>(size[a]) < l.most_in_32_bits;
    for (int k = 0; follows && k < operands; ++k)
      follows = step[k] == l.step[k][l.axes - 1] * static_cast<std::int64_t>(l.size[l.axes - 1]);
    if (follows) {
      l.size[l.axes - 1] *= static_cast<std::uint32_t>(size[a]);
      continue;
    }
    l.size[l.axes] = static_cast<std::uint32_t>(size[a]);
    for (int k = 0; k < operands; ++k) l.step[k][l.axes] = step[k];
    ++l.axes;
  }
  for (int a = 0; a < l.axes && l.entries > 0; ++a) l.by[a] = divisor_by(l.size[a]);
  return l;
}

/// The same, four entries of the fastest axis a time; it must be a multiple of four long.
template <int Operands>
layout<Operands> in_fours(layout<Operands> l) {
  l.entries /= 4;
  l.size[0] /= 4;
  if (l.size[0] == 1) {
    --l.axes;
    for (int a = 0; a < l.axes; ++a) {
      l.size[a] = l.size[a + 1];
      for (int k = 0; k < Operands; ++k) l.step[k][a] = l.step[k][a + 1];
    }
  } else {
    for (int k = 0; k < Operands; ++k) l.step[k][0] *= 4;
  }
  for (int a = 0; a < l.axes; ++a) l.by[a] = divisor_by(l.size[a]);
  return l;
}

/// Whether four entries at a time are so many aligned bytes of an operand, wherever they begin.
template <int Operands>
bool lies_in_fours(const layout<Operands>& l, int operand, const void* data, std::size_t bytes = 16) {
  if (l.axes == 0 || l.size[0] % 4 != 0 || l.step[operand][0] != 1) return false;
  if (reinterpret_cast<std::uintptr_t>(data) % bytes != 0) return false;
  for (int a = 1; a < l.axes; ++a)
    if (l.step[operand][a] % 4 != 0) return false;
  return true;
}

}  // namespace alphaform::cuda

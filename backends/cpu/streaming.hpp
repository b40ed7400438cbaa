// Results that are written past all caches.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace alphaform::cpu {

/// Numbers from the first row of a stream to the last that are more than a cache holds.
inline constexpr std::size_t large_span = std::size_t{1} << 18;

/// Rows of whole cache lines, `step` numbers apart, that are parts of a large stream: they are not read again soon.
inline bool leaves_caches(const float* first, std::ptrdiff_t step, std::size_t row, std::size_t rows) {
  constexpr std::size_t line = 64;  // bytes
  const auto apart = static_cast<std::size_t>(std::abs(step));
  return apart > row && apart * (rows - 1) >= large_span && row * sizeof(float) % line == 0 &&
         apart * sizeof(float) % line == 0 && reinterpret_cast<std::uintptr_t>(first) % line == 0;
}

}  // namespace alphaform::cpu

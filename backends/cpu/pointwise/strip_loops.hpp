// The loops of one pointwise instruction over strips, with the best instructions that the processor has.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <cstddef>
#include <span>

namespace alphaform::cpu {

/// y[i] = o(a[i], b[i], c[i]) for n places; an argument that is repeated is one number. y may be an argument.
using strip_loop = void (*)(const float* a, const float* b, const float* c, float* y, std::size_t n);

/// How many arguments an operation has.
constexpr std::size_t arguments_of(pointwise::operation o) {
  switch (o) {
    case pointwise::operation::load:
    case pointwise::operation::number:
      return 0;
    case pointwise::operation::map:
    case pointwise::operation::inverse:
      return 1;
    case pointwise::operation::times_plus:
    case pointwise::operation::lost:
      return 3;
    default:
      return 2;
  }
}

/// @param repeated  bit k is set if argument k is repeated
strip_loop loop_of(pointwise::operation, unsigned repeated);

/// The states of a strip's places, each high + low, and the tokens of a strip. On the way a scan fetches places
/// [soon_begin, soon_end) of what is soon needed.
struct strip_states final {
  float *high, *low;
  std::size_t row, rows;  ///< places of one token, tokens
  std::span<const float* const> soon{};
  std::size_t soon_begin = 0, soon_end = 0;
};
/// One step of a scan a token: change and x are its arguments, y the result.
using scan_loop = void (*)(const float* change, const float* x, const strip_states&, float* y);
scan_loop loop_of_scan(bool backward);

/// y = x for n places, a multiple of 16, past all caches; y is at the beginning of a cache line.
using stream_loop = void (*)(const float* x, float* y, std::size_t n);
stream_loop loop_of_stream();

/// rows of n numbers, `row_step` apart and with `step` from one to the next, one after the other; up to 64 numbers more
/// are written.
using spread_loop = void (*)(const float* x, std::ptrdiff_t row_step, std::ptrdiff_t step, std::size_t rows,
                             std::size_t n, float* y);
spread_loop loop_of_spread();

}  // namespace alphaform::cpu

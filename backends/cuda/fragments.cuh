// What tensor cores sum up in float32, as fragments of 16 x 8 entries, and where the factors lie in shared memory.
// Fragments are those of mma.m16n8 in the PTX manual: a lane has rows lane / 4 and columns 2 (lane % 4), or as many
// further on.
#pragma once
#include <cuda_runtime.h>

namespace alphaform::cuda {

/// Where a factor's entries lie: its rows, or its columns, so many numbers apart.
template <class Number, bool ByRows, unsigned Apart>
struct factor final {
  const Number* at;
  __device__ static constexpr unsigned place(unsigned row, unsigned column) {
    return ByRows ? row * Apart + column : column * Apart + row;
  }
  __device__ Number operator()(unsigned row, unsigned column) const { return at[place(row, column)]; }
};
template <unsigned Apart, class Number>
__device__ factor<Number, true, Apart> by_rows(const Number* at) {
  return {at};
}
template <unsigned Apart, class Number>
__device__ factor<Number, false, Apart> by_columns(const Number* at) {
  return {at};
}

/// Entries of one warp, 16 x 8 at a time.
template <unsigned Tall, unsigned Wide>
class fragments {
 public:
  __device__ fragments() { clear(); }
  __device__ void clear() {
    pairs([](unsigned, unsigned, float& x, float& y) { x = y = 0; });
  }
  /// Calls f(row, column, that entry, the next in its row); columns are even.
  template <class F>
  __device__ void pairs(F f) {
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
      for (unsigned j = 0; j < Wide; ++j)
#pragma unroll
        for (unsigned e = 0; e < 4; e += 2) f(16 * i + g + e * 4, 8 * j + 2 * t, at_[i][j][e], at_[i][j][e + 1]);
  }
  /// Calls f(row, column, two entries from there on, the two that lie eight columns further on).
  template <class F>
  __device__ void two_pairs(F f) const {
    static_assert(Wide % 2 == 0);
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
      for (unsigned j = 0; j < Wide; j += 2)
#pragma unroll
        for (unsigned e = 0; e < 4; e += 2) {
          const auto &first = at_[i][j], &second = at_[i][j + 1];
          f(16 * i + g + e * 4, 8 * j + 2 * t, float2{first[e], first[e + 1]}, float2{second[e], second[e + 1]});
        }
  }
  /// Calls f(entry, its number): in pairs of rows by 16 x 8 entries.
  template <class F>
  __device__ void each(F f) {
#pragma unroll
    for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
      for (unsigned j = 0; j < Wide; ++j)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) f(at_[i][j][e], (i * Wide + j) * 4 + e);
  }
  /// Calls f(row, column, that entry, the same of another).
  template <class F>
  __device__ void with(const fragments& other, F f) {
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
      for (unsigned j = 0; j < Wide; ++j)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e)
          f(16 * i + g + e / 2 * 8, 8 * j + 2 * t + e % 2, at_[i][j][e], other.at_[i][j][e]);
  }

 protected:
  float at_[Tall][Wide][4];
};

}  // namespace alphaform::cuda

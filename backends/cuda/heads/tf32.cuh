// Products of float32 matrices on tensor cores: each number is the sum of two of 11 bits, and all products of those but
// that of the smaller ones are summed in float32.
#pragma once
#include <mma.h>

namespace alphaform::cuda::tf32 {

namespace mma = nvcuda::wmma;
using sums = mma::fragment<mma::accumulator, 16, 16, 8, float>;
template <class Layout>
using left = mma::fragment<mma::matrix_a, 16, 16, 8, mma::precision::tf32, Layout>;
template <class Layout>
using right = mma::fragment<mma::matrix_b, 16, 16, 8, mma::precision::tf32, Layout>;

/// To 11 bits, by operations that are faster than the conversion.
__device__ inline float rounded(float x) { return __uint_as_float((__float_as_uint(x) + 0x1000u) & 0xffffe000u); }

template <class Fragment>
struct halves final {
  Fragment large, small;

  __device__ void load(const float* from, unsigned row) {
    mma::load_matrix_sync(large, from, row);
#pragma unroll
    for (int e = 0; e < Fragment::num_elements; ++e) {
      const float x = large.x[e];
      large.x[e] = rounded(x);
      small.x[e] = x - large.x[e];  // of which the cores take as many bits
    }
  }
};

template <class Left, class Right>
__device__ inline void multiply(sums& to, const halves<Left>& a, const halves<Right>& b) {
  mma::mma_sync(to, a.small, b.large, to);
  mma::mma_sync(to, a.large, b.small, to);
  mma::mma_sync(to, a.large, b.large, to);
}

/// 32 x 32 entries of one warp.
struct warp_sums final {
  sums at[2][2];

  __device__ void clear() {
#pragma unroll
    for (auto& row : at)
#pragma unroll
      for (sums& s : row) mma::fill_fragment(s, 0.0f);
  }
  /// Adds a b for `depth` columns of a, [row][depth] or, if the layout says so, [depth][row], and rows of b; both have
  /// their rows so many numbers apart.
  template <class Layout>
  __device__ void add(const float* a, unsigned a_row, const float* b, unsigned b_row, unsigned depth) {
    constexpr bool by_rows = std::is_same_v<Layout, mma::row_major>;
    for (unsigned k = 0; k < depth; k += 8) {
      halves<left<Layout>> rows[2];
      halves<right<mma::row_major>> columns[2];
#pragma unroll
      for (unsigned i = 0; i < 2; ++i) {
        rows[i].load(by_rows ? a + 16 * i * a_row + k : a + k * a_row + 16 * i, a_row);
        columns[i].load(b + k * b_row + 16 * i, b_row);
      }
#pragma unroll
      for (unsigned i = 0; i < 2; ++i)
#pragma unroll
        for (unsigned j = 0; j < 2; ++j) multiply(at[i][j], rows[i], columns[j]);
    }
  }
  /// Those of so many rows and columns that there are, multiples of 16.
  __device__ void store(float* to, unsigned row, unsigned rows = 32, unsigned columns = 32) const {
#pragma unroll
    for (unsigned i = 0; i < 2; ++i)
#pragma unroll
      for (unsigned j = 0; j < 2; ++j)
        if (16 * i < rows && 16 * j < columns)
          mma::store_matrix_sync(to + 16 * i * row + 16 * j, at[i][j], row, mma::mem_row_major);
  }
};

}  // namespace alphaform::cuda::tf32

// Products of float32 matrices on tensor cores: each number is the sum of two of 11 bits, and all products of those but
// that of the smaller ones are summed in float32. The cores cut off what they add instead of rounding it, so that what
// is summed up over many products has to be added by others.
#pragma once
#include <alphaform/backends/cuda/fragments.cuh>

namespace alphaform::cuda::tf32 {

/// A number as the larger part, rounded by operations that are faster than the conversion, and the rest, of which the
/// cores take as many bits.
struct halves final {
  unsigned large, small;
  __device__ static halves of(float x) {
    const unsigned large = (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
    return {large, __float_as_uint(x - __uint_as_float(large))};
  }
};

__device__ inline void multiply(float (&sum)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                                unsigned b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// Entries of one warp, 16 x 8 at a time.
template <unsigned Tall, unsigned Wide>
class tile final : public fragments<Tall, Wide> {
 public:
  /// Adds a b for so many columns of a and rows of b. @param scale  of these; null: 1
  template <unsigned Depth, unsigned Unrolled = Depth / 8, class A, class B>
  __device__ void add(A a, B b, const float* scale = nullptr) {
    each_step<Depth, Unrolled>(a, b, scale, [this](const auto& rows, const auto& columns) {
      multiply_all(this->at_, rows, columns, small_part, large_part);
      multiply_all(this->at_, rows, columns, large_part, small_part);
      multiply_all(this->at_, rows, columns, large_part, large_part);
    });
  }
  /// The same with the products of eight columns and rows at a time added by others: what the cores cut off is not
  /// summed up.
  template <unsigned Depth, unsigned Unrolled = Depth / 8, class A, class B>
  __device__ void add_apart(A a, B b) {
    each_step<Depth, Unrolled>(a, b, nullptr, [this](const auto& rows, const auto& columns) {
      float here[Tall][Wide][4]{};
      multiply_all(here, rows, columns, small_part, large_part);
      multiply_all(here, rows, columns, large_part, small_part);
      multiply_all(here, rows, columns, large_part, large_part);
#pragma unroll
      for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
        for (unsigned j = 0; j < Wide; ++j)
#pragma unroll
          for (unsigned e = 0; e < 4; ++e) this->at_[i][j][e] += here[i][j][e];
    });
  }

 private:
  __device__ static unsigned large_part(const halves& x) { return x.large; }
  __device__ static unsigned small_part(const halves& x) { return x.small; }
  using part = unsigned (*)(const halves&);

  /// Calls f with the halves of eight columns of a and rows of b, as fragments have them.
  template <unsigned Depth, unsigned Unrolled, class A, class B, class F>
  __device__ static void each_step(A a, B b, const float* scale, F f) {
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    a.at += a.place(g, t), b.at += b.place(t, g);
#pragma unroll(Unrolled)
    for (unsigned k = 0; k < Depth; k += 8) {
      halves rows[Tall][4], columns[Wide][2];
#pragma unroll
      for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) rows[i][e] = halves::of(a(16 * i + e % 2 * 8, k + e / 2 * 4));
      const float first = scale == nullptr ? 1 : scale[k + t], second = scale == nullptr ? 1 : scale[k + t + 4];
#pragma unroll
      for (unsigned j = 0; j < Wide; ++j) {
        columns[j][0] = halves::of(b(k, 8 * j) * first);
        columns[j][1] = halves::of(b(k + 4, 8 * j) * second);
      }
      f(rows, columns);
    }
  }
  __device__ static void multiply_all(float (&to)[Tall][Wide][4], const halves (&rows)[Tall][4],
                                      const halves (&columns)[Wide][2], part of_rows, part of_columns) {
#pragma unroll
    for (unsigned i = 0; i < Tall; ++i)
#pragma unroll
      for (unsigned j = 0; j < Wide; ++j)
        multiply(to[i][j], of_rows(rows[i][0]), of_rows(rows[i][1]), of_rows(rows[i][2]), of_rows(rows[i][3]),
                 of_columns(columns[j][0]), of_columns(columns[j][1]));
  }
};

}  // namespace alphaform::cuda::tf32

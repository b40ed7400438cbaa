// Products of bfloat16 matrices on tensor cores, summed in float32. Their rows are read by eight numbers at once, which
// lie on addresses of 16 bytes.
#pragma once
#include <cuda_bf16.h>

#include <alphaform/backends/cuda/fragments.cuh>

namespace alphaform::cuda::bf16 {

using number = __nv_bfloat16;

__device__ inline void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four matrices of 8 x 8, each of which may be transposed: lane l gives the address of row l % 8 of number l / 8.
template <bool Transposed>
__device__ inline void read_four(unsigned (&to)[4], const number* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (Transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

__device__ inline unsigned bits(__nv_bfloat162 pair) {
  unsigned both;
  memcpy(&both, &pair, sizeof both);
  return both;
}
__device__ inline __nv_bfloat162 pair_of_bits(unsigned both) {
  __nv_bfloat162 pair;
  memcpy(&pair, &both, sizeof both);
  return pair;
}
__device__ inline unsigned rounded(float2 pair) { return bits(__floats2bfloat162_rn(pair.x, pair.y)); }

/// Pairs of a fragment's row, which lie over four lanes and eight columns apart, as four that lie together: even lanes
/// have those of the first eight columns.
struct four_of_row final {
  uint2 numbers;
  int further;  ///< than the column of the first pair
  /// Of a lane's four, where its fragment is 16 columns wide.
  __device__ static unsigned first_column() { return threadIdx.x % 4 * 2 + (threadIdx.x % 2 != 0 ? 6 : 0); }
  __device__ four_of_row(float2 first, float2 second) : four_of_row(rounded(first), rounded(second)) {}
  __device__ four_of_row(unsigned left, unsigned right) {
    const bool odd = threadIdx.x % 2 != 0;
    const unsigned other = __shfl_xor_sync(0xffffffffu, odd ? left : right, 1);
    numbers = odd ? uint2{other, right} : uint2{left, other};
    further = odd ? 6 : 0;
  }
};

/// A matrix of 8 x 8 over the lanes, as fragments have it, transposed.
__device__ inline unsigned transposed(unsigned matrix) {
  unsigned other;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(other) : "r"(matrix));
  return other;
}

/// A left factor of 16 rows in registers.
template <unsigned Columns>
struct left_factor final {
  unsigned at[Columns / 16][4];
};

/// That lies in shared memory.
template <unsigned Columns, bool ByRows, unsigned Apart>
__device__ left_factor<Columns> read_left(factor<number, ByRows, Apart> a) {
  const unsigned lane = threadIdx.x % 32, row = lane % 8, odd = lane / 8 % 2 * 8, upper = lane / 16 * 8;
  a.at += ByRows ? a.place(row + odd, upper) : a.place(odd, row + upper);
  left_factor<Columns> to;
#pragma unroll
  for (unsigned k = 0; k < Columns; k += 16) read_four<!ByRows>(to.at[k / 16], a.at + a.place(0, k));
  return to;
}

/// Entries of one warp: an even number of 16 x 8 side by side.
template <unsigned Tall, unsigned Wide>
class tile final : public fragments<Tall, Wide> {
  static_assert(Wide % 2 == 0);

 public:
  /// Adds a b for so many columns of a and rows of b. @param scale  of these; null: 1
  template <unsigned Depth, bool RowsOfA, bool RowsOfB, unsigned A, unsigned B>
  __device__ void add(factor<number, RowsOfA, A> a, factor<number, RowsOfB, B> b, const number* scale = nullptr) {
    static_assert(Depth % 16 == 0 && A % 8 == 0 && B % 8 == 0);
    const unsigned lane = threadIdx.x % 32, row = lane % 8, odd = lane / 8 % 2 * 8, upper = lane / 16 * 8;
    a.at += RowsOfA ? a.place(row + odd, upper) : a.place(odd, row + upper);
    b.at += RowsOfB ? b.place(row + odd, upper) : b.place(odd, row + upper);
#pragma unroll
    for (unsigned k = 0; k < Depth; k += 16) {
      unsigned rows[Tall][4];
#pragma unroll
      for (unsigned i = 0; i < Tall; ++i) read_four<!RowsOfA>(rows[i], a.at + a.place(16 * i, k));
      __nv_bfloat162 by[2];
      if (scale != nullptr) {
        const auto* const own = reinterpret_cast<const __nv_bfloat162*>(scale + k + lane % 4 * 2);
        by[0] = own[0], by[1] = own[4];
      }
      unsigned columns[Wide / 2][4];  // all before the first is multiplied
#pragma unroll
      for (unsigned j = 0; j < Wide; j += 2) read_four<RowsOfB>(columns[j / 2], b.at + b.place(k, 8 * j));
#pragma unroll
      for (unsigned j = 0; j < Wide; j += 2) {
        unsigned(&two)[4] = columns[j / 2];
        if (scale != nullptr) {
#pragma unroll
          for (unsigned e = 0; e < 4; ++e) two[e] = bits(__hmul2(pair_of_bits(two[e]), by[e % 2]));
        }
#pragma unroll
        for (unsigned i = 0; i < Tall; ++i) {
          multiply(this->at_[i][j], rows[i], two[0], two[1]);
          multiply(this->at_[i][j + 1], rows[i], two[2], two[3]);
        }
      }
    }
  }
  /// The same with a in registers.
  template <unsigned Depth, bool RowsOfB, unsigned B>
  __device__ void add(const left_factor<Depth>& a, factor<number, RowsOfB, B> b) {
    static_assert(Tall == 1 && B % 8 == 0);
    const unsigned lane = threadIdx.x % 32, row = lane % 8, odd = lane / 8 % 2 * 8, upper = lane / 16 * 8;
    b.at += RowsOfB ? b.place(row + odd, upper) : b.place(odd, row + upper);
    unsigned columns[2][Wide / 2][4];  // those of a step, and those of the next
    const auto read = [&](unsigned k) {
#pragma unroll
      for (unsigned j = 0; j < Wide; j += 2) read_four<RowsOfB>(columns[k / 16 % 2][j / 2], b.at + b.place(k, 8 * j));
    };
    read(0);
#pragma unroll
    for (unsigned k = 0; k < Depth; k += 16) {
      if (k + 16 < Depth) read(k + 16);
#pragma unroll
      for (unsigned j = 0; j < Wide; j += 2) {
        const unsigned(&two)[4] = columns[k / 16 % 2][j / 2];
        multiply(this->at_[0][j], a.at[k / 16], two[0], two[1]);
        multiply(this->at_[0][j + 1], a.at[k / 16], two[2], two[3]);
      }
    }
  }
  /// These entries, rounded, as what is multiplied from the left.
  __device__ left_factor<8 * Wide> as_left() const {
    static_assert(Tall == 1);
    left_factor<8 * Wide> to;
#pragma unroll
    for (unsigned j = 0; j < Wide; ++j)
#pragma unroll
      for (unsigned e = 0; e < 4; e += 2)
        to.at[j / 2][j % 2 * 2 + e / 2] = rounded(float2{this->at_[0][j][e], this->at_[0][j][e + 1]});
    return to;
  }
};

}  // namespace alphaform::cuda::bf16

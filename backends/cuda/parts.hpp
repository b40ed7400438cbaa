// What tensor cores multiply in place of float32 numbers.
#pragma once
#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>

namespace alphaform::cuda {

/// One factor of a product: vectors of the sums' length. The numbers of a vector follow each other (`deep`), or those
/// of all vectors at one place do.
struct vectors final {
  const float* at;
  std::int64_t count, depth, step, depth_step;

  bool deep() const { return depth == 1 || depth_step == 1; }
  vectors part(std::int64_t first, std::int64_t many) const {
    return {at + first * step, std::min(many, count - first), depth, step, depth_step};
  }
};

/// From one vector, or if not deep one place, to the next: on addresses of 16 bytes.
constexpr std::int64_t padded(std::int64_t n) { return (n + 7) / 8 * 8; }

/// Every number as two of 11 bits, of which three products are what float32 gives. For each `piece` of the depth (a
/// multiple of 8, filled with 0) there are three: of the left factor the larger part, the smaller, the larger; of the
/// right one the smaller, the larger, the larger.
/// @param to  padded(count) * 3 * pieces * piece numbers
void in_tf32_parts(const vectors&, bool left, std::int64_t piece, std::int64_t pieces, float* to);

/// Every number rounded. @param to  padded(count) * padded(depth) numbers
void in_bfloat16(const vectors&, __nv_bfloat16* to);

}  // namespace alphaform::cuda

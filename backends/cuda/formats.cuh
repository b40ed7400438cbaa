// Views of bfloat16 numbers as such.
#pragma once
#include <alphaform/backends/cuda/bf16.cuh>
#include <alphaform/backends/cuda/functions.hpp>

namespace alphaform::cuda {

inline bool is_bfloat16(const in& v) { return v.format == number_format::bfloat16; }
inline view<const bf16::number> as_bfloat16(const in& v) {
  return {reinterpret_cast<const bf16::number*>(v.data), v.size, v.stride};
}
inline view<bf16::number> as_bfloat16(const out& v) {
  return {reinterpret_cast<bf16::number*>(v.data), v.size, v.stride};
}

}  // namespace alphaform::cuda

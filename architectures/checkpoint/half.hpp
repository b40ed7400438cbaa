// The 16-bit floating-point formats of stored tensors: f16 is IEEE 754 binary16, bf16 the upper half of binary32. Both
// are subsets of float.
#pragma once
#include <bit>
#include <cstdint>

namespace alphaform {

/// The number with these bits of binary16, exactly; infinities and NaNs stay what they are.
inline float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t wide = exponent == 31 ? 255U : exponent + 112U;  // infinity and NaN keep their fraction
  return std::bit_cast<float>(sign | (wide << 23U) | (fraction << 13U));
}

/// The number whose upper 16 bits of binary32 these are, exactly.
inline float from_bf16(std::uint16_t upper) { return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16U); }

}  // namespace alphaform

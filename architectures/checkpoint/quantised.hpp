// Blocks of quantised numbers as ggml has stored them since May 2023 (github.com/ggerganov/ggml, ggml-common.h): 32
// neighbours of a row share a scale d and, in q4_1 and q5_1, a least value m, both f16. A number is d q (q = code - 8
// in q4_0, code - 16 in q5_0, a signed byte in q8_0) or d q + m (q = code). It is computed in float, as ggml does: d q
// is exact there (11 bits times at most 8), so only the sum with m rounds.
#pragma once
#include <alphaform/architectures/checkpoint/half.hpp>
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace alphaform {

/// Numbers of one block.
inline constexpr std::size_t quantised_length = 32;

/// The 32 numbers of the block that starts at `stored` and has block_of(type).bytes bytes, in this order: d, m, 32
/// fifth bits (bit i for number i), then 16 bytes whose lower halves are the codes of the numbers 0..15 and whose upper
/// halves those of 16..31; or d and 32 signed bytes.
/// @param type q4_0, q4_1, q5_0, q5_1 or q8_0.
inline void dequantise(const std::byte* stored, dtype type, std::span<float, quantised_length> numbers) {
  const bool has_least = type == dtype::q4_1 || type == dtype::q5_1;
  const bool has_fifth = type == dtype::q5_0 || type == dtype::q5_1;
  std::uint16_t halves[2] = {0, 0};
  std::memcpy(halves, stored, has_least ? 4 : 2);
  const float scale = from_f16(halves[0]);
  const float least = from_f16(halves[1]);
  const std::byte* codes = stored + (has_least ? 4 : 2);
  std::uint32_t fifth = 0;
  if (has_fifth) {
    std::memcpy(&fifth, codes, sizeof fifth);
    codes += sizeof fifth;
  }
  const int zero = has_least ? 0 : has_fifth ? 16 : 8;
  for (std::size_t i = 0; i < quantised_length; ++i) {
    if (type == dtype::q8_0) {
      numbers[i] = scale * static_cast<float>(static_cast<std::int8_t>(codes[i]));
      continue;
    }
    const auto pair = static_cast<unsigned>(codes[i % 16]);
    const unsigned code = (i < 16 ? pair & 15U : pair >> 4U) | (fifth >> i & 1U) << 4U;
    const float product = scale * static_cast<float>(static_cast<int>(code) - zero);
    numbers[i] = has_least ? product + least : product;
  }
}

}  // namespace alphaform

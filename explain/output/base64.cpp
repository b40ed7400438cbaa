// Three bytes are four digits of six bits.
#include <algorithm>
#include <alphaform/explain/output/base64.hpp>
#include <cstdint>

namespace alphaform {

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  std::size_t out = 0;
  for (std::size_t in = 0; in < bytes.size(); in += 3) {
    const auto byte = [&](std::size_t k) {
      return in + k < bytes.size() ? std::uint32_t{static_cast<unsigned char>(bytes[in + k])} : 0U;
    };
    const std::uint32_t group = byte(0) << 16U | byte(1) << 8U | byte(2);
    const std::size_t used = std::min<std::size_t>(bytes.size() - in, 3) + 1;
    for (std::size_t k = 0; k < used; ++k) text[out + k] = digits[group >> (18U - 6U * k) & 63U];
    out += 4;
  }
  return text;
}

}  // namespace alphaform

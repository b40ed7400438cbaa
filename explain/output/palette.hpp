// Colours for values, shared by the pictures and report.html. `diverging` is ColorBrewer's RdBu, reversed (Brewer
// 2003): safe for the common kinds of colour blindness, zero is near white. `sequential` is viridis (van der Walt and
// Smith 2015).
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace alphaform {

struct colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
  friend bool operator==(const colour&, const colour&) = default;
};

/// How a magnitude turns into depth of colour. Attention maps are peaked: the square root shows the small entries, too.
enum class colour_scale { linear, square_root };

namespace palette {

/// Most negative, ..., zero, ..., most positive.
inline constexpr std::array<colour, 11> diverging{{{0x05, 0x30, 0x61},
                                                   {0x21, 0x66, 0xac},
                                                   {0x43, 0x93, 0xc3},
                                                   {0x92, 0xc5, 0xde},
                                                   {0xd1, 0xe5, 0xf0},
                                                   {0xf7, 0xf7, 0xf7},
                                                   {0xfd, 0xdb, 0xc7},
                                                   {0xf4, 0xa5, 0x82},
                                                   {0xd6, 0x60, 0x4d},
                                                   {0xb2, 0x18, 0x2b},
                                                   {0x67, 0x00, 0x1f}}};

/// The same order for a dark page: zero is near the background, both ends are light. Made for report.html.
inline constexpr std::array<colour, 11> diverging_dark{{{0xb3, 0xdd, 0xff},
                                                        {0x6c, 0xb8, 0xf0},
                                                        {0x38, 0x8c, 0xd0},
                                                        {0x26, 0x64, 0x9e},
                                                        {0x26, 0x44, 0x63},
                                                        {0x2c, 0x2f, 0x34},
                                                        {0x59, 0x37, 0x31},
                                                        {0x8f, 0x40, 0x33},
                                                        {0xc9, 0x56, 0x3e},
                                                        {0xf0, 0x8a, 0x68},
                                                        {0xff, 0xc9, 0xaf}}};

/// Zero, ..., largest.
inline constexpr std::array<colour, 10> sequential{{{0x44, 0x01, 0x54},
                                                    {0x48, 0x28, 0x78},
                                                    {0x3e, 0x4a, 0x89},
                                                    {0x31, 0x68, 0x8e},
                                                    {0x26, 0x82, 0x8e},
                                                    {0x1f, 0x9e, 0x89},
                                                    {0x35, 0xb7, 0x79},
                                                    {0x6d, 0xcd, 0x59},
                                                    {0xb4, 0xde, 0x2c},
                                                    {0xfd, 0xe7, 0x25}}};

/// For values that are not finite.
inline constexpr colour not_finite{0x80, 0x80, 0x80};

/// The colour at `position` in [0, 1], linear between the entries of the table.
inline colour at(std::span<const colour> table, double position) {
  const double place = std::clamp(position, 0.0, 1.0) * static_cast<double>(table.size() - 1);
  const std::size_t left = std::min(static_cast<std::size_t>(place), table.size() - 2);
  const double weight = place - static_cast<double>(left);
  const auto mix = [weight](std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(std::lround((1 - weight) * a + weight * b));
  };
  const colour& a = table[left];
  const colour& b = table[left + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

/// sign(value) * |value / limit|, or its square root, in [-1, 1]; 0 if the limit is 0.
inline double depth(double value, double limit, colour_scale scale) {
  const double fraction = limit > 0 ? std::min(std::abs(value) / limit, 1.0) : 0.0;
  return std::copysign(scale == colour_scale::square_root ? std::sqrt(fraction) : fraction, value);
}

/// The colour of a signed value: zero is the middle of `diverging`, +-limit are its ends.
inline colour of_signed(double value, double limit, colour_scale scale) {
  return std::isfinite(value) ? at(diverging, 0.5 + 0.5 * depth(value, limit, scale)) : not_finite;
}

/// The colour of a value >= 0: zero is the start of `sequential`, the limit is its end.
inline colour of_magnitude(double value, double limit, colour_scale scale) {
  return std::isfinite(value) ? at(sequential, depth(value, limit, scale)) : not_finite;
}

}  // namespace palette
}  // namespace alphaform

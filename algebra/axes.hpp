// The axes that a stream has beside time. A stream [T, chan, state] carries a value for every token, channel and state
// entry; a parameter has the same axes but no time.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace alphaform {

struct axes final {
  std::uint8_t bits = 0;
  constexpr bool operator==(const axes&) const = default;
  constexpr bool contains(axes other) const { return (bits & other.bits) == other.bits; }
  constexpr bool touches(axes other) const { return (bits & other.bits) != 0; }
};
constexpr axes operator|(axes a, axes b) { return {static_cast<std::uint8_t>(a.bits | b.bits)}; }
constexpr axes operator&(axes a, axes b) { return {static_cast<std::uint8_t>(a.bits & b.bits)}; }
constexpr axes operator-(axes a, axes b) { return {static_cast<std::uint8_t>(a.bits & ~b.bits)}; }

/// Heads (of a group), channels (of a head), state entries, entries of a low-rank projection, taps of a filter, the two
/// parts of a complex number, and groups of heads that share something.
inline constexpr axes no_axes{0}, head{1}, chan{2}, state{4}, rank{8}, tap{16}, part{32}, group{64};
inline constexpr axes any_axes{255};  ///< in patterns of rules only

/// The letter of each axis in printed shapes, in memory order: [T, G, H, C, N, R, K, Z].
struct axis_letter final {
  axes axis;
  std::string_view letter, word;
};
inline constexpr std::array axis_letters{axis_letter{group, "G", "group"},      axis_letter{head, "H", "head"},
                                         axis_letter{chan, "C", "channel"},     axis_letter{state, "N", "state"},
                                         axis_letter{rank, "R", "rank"},        axis_letter{tap, "K", "tap"},
                                         axis_letter{part, "Z", "complex part"}};

}  // namespace alphaform

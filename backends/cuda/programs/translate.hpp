// Pointwise programs as CUDA C++: what the compiler for the card gets.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <alphaform/view.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace alphaform::cuda {

// Operands of their calls are those of the program and then y, with h before y if there are states; each is stored in
// its format, h as float.

/// Every entry on its own, `at_once` (1 or 4) neighbours a thread: 4 where each operand has neighbours one after the
/// other, on addresses of 16 bytes, or repeats one number. The kernel's name is "evaluate".
std::string translated(const pointwise&, int at_once, const std::vector<number_format>&);
inline constexpr int scan_warps = 8, scan_run = 32;
/// A scan, kernel "scan": a block of scan_warps warps for every 32 lanes (entries of the axes) and scan_warps *
/// scan_run tokens. Behind the first argument comes memory for one number of 64 bits and two for each lane, 0 at first.
std::string translated_scan(const pointwise&, const std::vector<number_format>&);

/// An operand of a program whose result is filtered.
struct filter_operand final {
  int taps = 0;         ///< of a filter of its own; 0 if it has none
  bool repeats = true;  ///< it is the same for all lanes of a thread
  bool stays = false;   ///< it is the same for all tokens, and has no filter
};
/// How a thread of a filter goes over tokens.
struct filter_layout final {
  int lanes = 1;  ///< at once: 1 or 4, as above
  int taps = 1;   ///< of the filter
  std::vector<filter_operand> operands;
  /// Of all operands of the call.
  std::vector<number_format> formats;
};
/// The transposed filter of what a program makes, kernel "filter". Operands of its call are those of the program, y,
/// taps, and the taps of the program's operands that have some; the tokens of taps are taps. Behind it comes a number
/// of 64 bits: the tokens of a thread.
std::string translated_filter(const pointwise&, const filter_layout&);

/// How the states of a pass are divided among the warps of a block.
struct states_layout final {
  int quads = 1;           ///< four lanes each: of so many warps, and as many again that help them
  int parts = 1;           ///< of the states, 16 each: as many times as many warps
  int tile = 64;           ///< tokens that are handed on at a time: 16, 32 or 64
  bool one_decay = false;  ///< the same for all states of a lane
  bool write_stays = false, read_stays = false;  ///< the same for all tokens; else for all lanes of a run
  /// Two states of a token lie on an address of 8 bytes, one after the other.
  bool write_pairs = false, read_pairs = false;
  /// Of all operands of the call: four neighbouring lanes lie on an address of 16 bytes, one after the other.
  std::vector<bool> fours;
  std::vector<bool> one_for_lanes;  ///< of all operands of the call: a token's number is the same for all lanes
  /// Of all operands of the call: bfloat16 are those alone that lie in fours and change with tokens, and y.
  std::vector<number_format> formats;
  /// Of all operands of the call, from token to token; 0 where one stays the same. Addresses are made of them when the
  /// kernel is compiled.
  std::vector<std::int64_t> token_steps;

  int threads() const { return 32 * quads * (parts + 1); }
  std::size_t varying() const;
  std::size_t shared() const;  ///< bytes that a block needs
};
/// A program with `states`, kernel "states". Operands of its call are those of the program, log_decay, write and read,
/// h, y. Behind it come numbers of 64 bits: the lanes of a run, within which write and read are the same; how many
/// states there are; the steps from state to state of log_decay, write, read and h. Each run has blocks of its own.
std::string translated_states(const pointwise&, const states_layout&);

}  // namespace alphaform::cuda

// Pointwise programs as CUDA C++: what the compiler for the card gets.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <string>

namespace alphaform::cuda {

/// How a translated kernel is called: it has one argument, this, with as many operands as its program and then y (and,
/// if it scans, h before y). All numbers are of 64 bits, so that both compilers lay it out alike.
inline constexpr std::size_t call_axes = 9;

/// Every entry on its own, `at_once` (1 or 4) neighbours a thread: 4 where each operand has neighbours one after the
/// other, on addresses of 16 bytes, or repeats one number. The kernel's name is "evaluate".
std::string translated(const pointwise&, int at_once);
inline constexpr int scan_warps = 8, scan_run = 32;
/// A scan, kernel "scan": a block of scan_warps warps for every 32 lanes (entries of the axes) and scan_warps *
/// scan_run tokens, with two numbers of shared memory for each. Arguments behind the first: a double for every lane,
/// and counters, 0 at first, one and one for each 32 lanes.
std::string translated_scan(const pointwise&);

}  // namespace alphaform::cuda

// Parts of translated programs that all kinds of kernels have.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <alphaform/view.hpp>
#include <string>
#include <string_view>

namespace alphaform::cuda {

/// How a translated kernel is called: its first argument is this, with as many operands as its program and what the
/// kernel adds to them. All numbers are of 64 bits, so that both compilers lay it out alike.
inline constexpr std::size_t call_axes = 9;
/// Declares it, for so many operands.
std::string call_type(int places);
/// How a stream's numbers are stored, as a type of C++.
std::string_view type_of(number_format);
/// Defines what reads numbers of either type, `wide` one and `four` that lie together, and what writes them, `put`.
extern const std::string_view access_to_numbers;

/// The functions that the program uses.
std::string functions_of(const pointwise&);
std::string registers(const pointwise&);
/// @param loaded  how operand k is read, with {} for k
std::string statement(const pointwise::instruction&, std::string_view loaded);

}  // namespace alphaform::cuda

// An explanation for people at a terminal: prediction, coloured text or table of scores, one line of checks.
#pragma once
#include <alphaform/explain/explanation.hpp>
#include <string>

namespace alphaform {

/// @param colour  true: the text with 24-bit ANSI backgrounds, red for positive and blue for negative scores, full
/// colour
///                at the largest magnitude; false: a table token, score, bar of at most 24 signs ('+' or '-')
/// @return        lines that end with a line feed; control characters in tokens and names are escaped, never emitted
/// @throws internal_error  if the parts of `e` disagree in the number of tokens
std::string terminal_text(const explanation& e, bool colour);

}  // namespace alphaform

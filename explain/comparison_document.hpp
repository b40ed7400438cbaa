// Two architectures side by side, for a terminal.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <string>

namespace alphaform {

/// Both normal forms, their factors aligned, what of their properties differs, and which factors stand in another
/// order.
/// @throws user_error when one of them has no implicit attention
std::string comparison_document(const architecture& left, const architecture& right);

}  // namespace alphaform

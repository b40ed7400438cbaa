// Every architecture that alphaform knows, by name.
#pragma once
#include <alphaform/architectures/architecture.hpp>
#include <span>

namespace alphaform {

/// In the order in which they are listed.
extern const std::span<const architecture> registry;

/// @throws user_error that lists the names when there is no such architecture
const architecture& find_architecture(std::string_view name);

}  // namespace alphaform

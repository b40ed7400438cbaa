// Where the small models that come with alphaform lie: beside the sources, or beside an installation.
#pragma once
#include <filesystem>

namespace alphaform {

/// The environment variable ALPHAFORM_MODELS if set, else the folder of the installation that the program is part of,
/// else that of the sources.
std::filesystem::path models_folder();

}  // namespace alphaform

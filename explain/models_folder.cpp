#include <alphaform/explain/models_folder.hpp>
#include <cstdlib>

namespace alphaform {

std::filesystem::path models_folder() {
  if (const char* set = std::getenv("ALPHAFORM_MODELS"); set != nullptr && *set != '\0') return set;
  const std::filesystem::path sources = ALPHAFORM_SOURCE_MODELS;
  return exists(sources) ? sources : std::filesystem::path(ALPHAFORM_INSTALLED_MODELS);
}

}  // namespace alphaform

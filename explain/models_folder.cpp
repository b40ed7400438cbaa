#include <alphaform/explain/models_folder.hpp>
#include <cstdlib>

namespace alphaform {

std::filesystem::path models_folder() {
  if (const char* set = std::getenv("ALPHAFORM_MODELS"); set != nullptr && *set != '\0') return set;
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::filesystem::path beside = program.parent_path().parent_path() / ALPHAFORM_MODELS_BESIDE_PROGRAM;
  return !failed && exists(beside) ? beside : std::filesystem::path(ALPHAFORM_SOURCE_MODELS);
}

}  // namespace alphaform

// Third-party data for tests: models, golden outputs and tokenizers in a folder beside the source tree or in
// ALPHAFORM_SHARED.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace alphaform::test {

/// The folder of the shared data: the environment variable ALPHAFORM_SHARED, else "shared" beside the source tree.
inline std::filesystem::path shared_folder() {
  const char* set = std::getenv("ALPHAFORM_SHARED");
  return set != nullptr ? std::filesystem::path(set) : std::filesystem::path(ALPHAFORM_SOURCE_DIR "/../shared");
}

/// A file or folder of the shared data, if it is there.
inline std::optional<std::filesystem::path> shared(std::string_view relative) {
  const auto path = shared_folder() / relative;
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? std::optional(path) : std::nullopt;
}

}  // namespace alphaform::test

/// Ends the test case with one line if the data is not there.
#define SKIP_WITHOUT_SHARED(relative)                                                                \
  do {                                                                                               \
    if (!alphaform::test::shared(relative)) {                                                        \
      std::printf("skipped: %s not found in ALPHAFORM_SHARED (%s)\n", std::string(relative).c_str(), \
                  alphaform::test::shared_folder().c_str());                                         \
      return;                                                                                        \
    }                                                                                                \
  } while (false)

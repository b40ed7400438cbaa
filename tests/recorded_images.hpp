// The images that models/vim was recorded on, as the bytes that they were before normalisation.
#pragma once
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <cmath>

#include "image_files.hpp"

namespace alphaform::test {

struct recorded_images final {
  static constexpr std::uint32_t count = 32, side = 28;
  checkpoint record = checkpoint::open(ALPHAFORM_SOURCE_DIR "/models/vim/reference.safetensors");
  std::vector<float> values = alphaform::values<float>(record.at("pixel_values"));  ///< [count, 1, side, side]
  std::vector<std::uint8_t> samples, labels;

  /// sample = 255 (value std + mean), with the numbers of models/vim/config.json
  recorded_images() {
    REQUIRE(values.size() == count * side * side);
    for (const float v : values) {
      const double sample = 255 * (static_cast<double>(v) * 0.353 + 0.286);
      CHECK(std::abs(sample - std::round(sample)) < 1e-3);
      samples.push_back(static_cast<std::uint8_t>(std::lround(sample)));
    }
    for (const std::int64_t label : alphaform::values<std::int64_t>(record.at("labels")))
      labels.push_back(static_cast<std::uint8_t>(label));
  }
  std::span<const std::uint8_t> image(std::size_t k) const {
    return std::span(samples).subspan(k * side * side, side * side);
  }
  std::string images_idx() const { return idx_bytes({count, side, side}, samples); }
  std::string labels_idx() const { return idx_bytes({count}, labels); }
};

}  // namespace alphaform::test

// Mamba models of any size with random weights, written as a checkpoint and read again.
#pragma once
#include <alphaform/backends/model/model.hpp>

namespace alphaform::benchmarks {

struct model_sizes final {
  std::size_t layers, width, vocabulary, tokens;
  std::size_t channels() const { return 2 * width; }
  static constexpr std::size_t states = 16, taps = 4;
  std::size_t ranks() const { return (width + 15) / 16; }
};
model_sizes reduced(model_sizes);

/// A model and a text for it.
struct random_model final {
  explicit random_model(const model_sizes&);
  model<float> of;
  std::vector<std::int64_t> ids;
  stored_text<float> text;
};

}  // namespace alphaform::benchmarks

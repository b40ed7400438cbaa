#include <fmt/core.h>

#include <algorithm>
#include <alphaform/explain/drawing.hpp>
#include <alphaform/explain/output/png.hpp>
#include <cmath>

namespace alphaform {
namespace {

constexpr std::size_t most_layers = 3, most_channels = 4;

/// At most `most` of 0 ... count - 1, evenly spread, ends included.
std::vector<std::size_t> spread(std::size_t count, std::size_t most) {
  std::vector<std::size_t> chosen;
  const std::size_t n = std::min(count, most);
  for (std::size_t k = 0; k < n; ++k) chosen.push_back(n == 1 ? 0 : (k * (count - 1) + (n - 1) / 2) / (n - 1));
  return chosen;
}

/// |values| from 0, their least, to 1, their greatest.
std::vector<float> scaled(const tensor<float>& map) {
  std::vector<float> values = numbers_of(map);
  for (float& v : values) {
    v = std::abs(v);
    if (!std::isfinite(v))
      throw user_error("the map holds values that are not finite numbers: the model's weights cannot be right");
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const float low = *least, range = *most - *least;
  for (float& v : values) v = range > 0 ? (v - low) / range : 0;
  return values;
}

}  // namespace

std::string attention_picture(const model<float>& m, std::span<const std::int64_t> ids, const architecture* only) {
  std::vector<std::size_t> layers;
  for (std::size_t i = 0; i < m.layers(); ++i)
    if (only == nullptr || m.mixer_architecture(i).name == only->name) layers.push_back(i);
  if (layers.empty()) throw user_error("there is nothing to draw: no layer of this model has the mixer asked for");
  const forward_pass<float> pass = m.run(ids, {.of = extent_of_run::logits::none});
  std::vector<std::vector<float>> values;
  std::vector<heat_map> maps;
  std::size_t across = 0;
  for (const std::size_t at : spread(layers.size(), most_layers)) {
    implicit_attention<float> attention = m.attention(layers[at], pass.mixer_in[layers[at]], pass.shared);
    const std::size_t tokens = attention.tokens(), channels = attention.channels(),
                      in_head = alphaform::at(attention.stream(), axis::chan);
    const std::vector<std::size_t> chosen = spread(channels, most_channels);
    across = std::max(across, chosen.size());
    for (const std::size_t c : chosen) {
      values.push_back(scaled(attention.matrix(c)));
      const std::string head = in_head < channels ? fmt::format(" head {}", c / in_head) : "";
      maps.push_back({{}, tokens, tokens, fmt::format("layer {}{} channel {}", layers[at], head, c % in_head)});
    }
  }
  for (std::size_t k = 0; k < maps.size(); ++k) maps[k].values = values[k];
  return heat_maps_png(maps, {.min_pixels = 336, .gap = 14, .across = across});
}

}  // namespace alphaform

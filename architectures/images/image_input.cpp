#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/images/image_input.hpp>
#include <alphaform/error.hpp>
#include <cmath>

namespace alphaform {
namespace {

using nlohmann::json;

std::string shown(const json& j) { return quote(j.dump(-1, ' ', true, json::error_handler_t::replace)); }

const json* find(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

/// A side or a count, small enough that three of them cannot overflow.
std::size_t size_of(const json& j, const char* name) {
  constexpr std::size_t largest = 1 << 16;
  if (!j.is_number_unsigned() || j.get<std::size_t>() < 1 || j.get<std::size_t>() > largest)
    throw user_error(
        fmt::format("config.json: {} should be whole numbers from 1 to {}, but is {}", name, largest, shown(j)));
  return j.get<std::size_t>();
}

image_shape shape_of(const json& config, const json& input) {
  image_shape shape;
  if (const json* channels = find(config, "channels")) shape.channels = size_of(*channels, "channels");
  const auto sides = [&](const json& j, std::size_t count, const char* name) {
    if (!j.is_array() || j.size() != count)
      throw user_error(fmt::format("config.json: {} should be {} numbers, but is {}", name, count, shown(j)));
    if (count == 3) shape.channels = size_of(j[0], name);
    shape.height = size_of(j[count - 2], name);
    shape.width = size_of(j[count - 1], name);
  };
  const json *whole = find(input, "shape"), *image = find(input, "image"), *side = find(config, "img_size");
  if (whole != nullptr)
    sides(*whole, 3, "input.shape");
  else if (image != nullptr)
    sides(*image, 2, "input.image");
  else if (side != nullptr && side->is_array())
    sides(*side, 2, "img_size");
  else if (side != nullptr)
    shape.height = shape.width = size_of(*side, "img_size");
  else
    throw user_error("config.json: it should give the image's size as input.shape, input.image or img_size");
  return shape;
}

/// One number for every channel, or one for each.
std::vector<float> per_channel(const json& input, const char* name, std::size_t channels) {
  const json* given = find(input, name);
  if (given == nullptr)
    throw user_error(fmt::format("config.json: input.{} is missing: it says how images are normalised", name));
  const json all = given->is_array() ? *given : json::array({*given});
  std::vector<float> numbers;
  for (const json& j : all) numbers.push_back(j.is_number() ? j.get<float>() : NAN);
  if (numbers.size() == 1) numbers.resize(channels, numbers[0]);
  for (const float v : numbers)
    if (numbers.size() != channels || !std::isfinite(v))
      throw user_error(fmt::format("config.json: input.{} should be a number or {}, one a channel, but is {}", name,
                                   channels, shown(*given)));
  return numbers;
}

/// p of patches of channels p^2 values.
std::size_t patch_side(const image_shape& s, std::size_t features) {
  std::size_t side = 1;
  while (side * side * s.channels < features && side < s.height) ++side;
  if (side * side * s.channels != features || s.height % side != 0 || s.width % side != 0)
    throw user_error(fmt::format("an image of {} x {} pixels and {} channels has no square patches of {} values",
                                 s.height, s.width, s.channels, features));
  return side;
}

}  // namespace

image_input image_input_of(const checkpoint& file, std::size_t features) {
  const json& config = file.config();
  const json* input = find(config, "input");
  if (features == 0) throw user_error(fmt::format("{} reads token ids, not images", quote_path(file.path())));
  if (input == nullptr || !input->is_object())
    throw user_error("config.json: 'input' should say how images are normalised: their mean and std, and their shape");
  if (const json* order = find(*input, "order"); order != nullptr && *order != "row-major")
    throw user_error(
        fmt::format("config.json: input.order is {}; pixels are read row by row ('row-major')", shown(*order)));
  image_input as;
  as.shape = shape_of(config, *input);
  as.side = patch_side(as.shape, features);
  for (const char* name : {"patch_size", "stride"})
    if (const json* given = find(config, name); given != nullptr && size_of(*given, name) != as.side)
      throw user_error(fmt::format("config.json: {} is {}, but the weights read patches of side {}, side by side", name,
                                   shown(*given), as.side));
  as.mean = per_channel(*input, "mean", as.shape.channels);
  as.deviation = per_channel(*input, "std", as.shape.channels);
  for (const float v : as.deviation)
    if (!(v > 0)) throw user_error(fmt::format("config.json: input.std should be greater than 0, but is {}", v));
  return as;
}

std::vector<float> in_patches(std::span<const float> image, const image_shape& s, std::size_t features) {
  const std::size_t p = patch_side(s, features);
  if (image.size() != s.samples())
    throw user_error(fmt::format("an image of this shape has {} values, but {} were given", s.samples(), image.size()));
  std::vector<float> values;
  values.reserve(image.size());
  for (std::size_t top = 0; top < s.height; top += p)
    for (std::size_t left = 0; left < s.width; left += p)
      for (std::size_t c = 0; c < s.channels; ++c)
        for (std::size_t y = top; y < top + p; ++y) {
          const std::span<const float> row = image.subspan((c * s.height + y) * s.width + left, p);
          values.insert(values.end(), row.begin(), row.end());
        }
  return values;
}

std::vector<float> values_of(const image_input& as, const images& all, std::size_t index) {
  if (all.shape != as.shape)
    throw user_error(fmt::format(
        "this model reads images of {} x {} pixels and {} channels, but was given {} x {} and {}", as.shape.height,
        as.shape.width, as.shape.channels, all.shape.height, all.shape.width, all.shape.channels));
  if (index >= all.count)
    throw user_error(fmt::format("image {} was asked for, but there are images 0 to {}", index, all.count - 1));
  const std::span<const std::uint8_t> samples = all.at(index);
  std::vector<float> image;
  image.reserve(samples.size());
  for (std::size_t k = 0; k < samples.size(); ++k) {
    const std::size_t c = k / (as.shape.height * as.shape.width);
    image.push_back((static_cast<float>(samples[k]) / 255.0F - as.mean[c]) / as.deviation[c]);
  }
  return in_patches(image, as.shape, as.features());
}

}  // namespace alphaform

// From a picture to the values that a model reads: normalised by its configuration and cut into patches.
#pragma once
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/images/images.hpp>

namespace alphaform {

/// How a model wants its images: value = (sample / 255 - mean) / deviation.
struct image_input final {
  image_shape shape;
  std::vector<float> mean, deviation;  ///< one a channel
  std::size_t side = 1;                ///< p: a patch is p x p pixels
  std::size_t features() const { return shape.channels * side * side; }
  std::size_t columns() const { return shape.width / side; }  ///< patches in a row
};

/// As the configuration says: `input` with `mean` and `std`, a number or one a channel, and the size as `input.shape`
/// [channels, height, width], `input.image` [height, width] or `img_size`.
/// @param features  values a token of the model
/// @throws user_error when that is missing, or no patches of so many values fill the image
image_input image_input_of(const checkpoint&, std::size_t features);

/// An image [channels, height, width] as patches [tokens, features], in row order; a patch lies channel by channel, row
/// by row, as the weight [width, channels, p, p] of a convolution with stride p does.
/// @throws user_error when no square patches of so many values fill the image
std::vector<float> in_patches(std::span<const float> image, const image_shape&, std::size_t features);

/// The values [tokens, features] of an image. @throws user_error when it is not of the model's shape
std::vector<float> values_of(const image_input&, const images&, std::size_t index);

}  // namespace alphaform

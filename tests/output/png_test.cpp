// Pictures decoded with libpng: size, palette at known values, layout of several maps.
#include <doctest/doctest.h>
#include <png.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/png.hpp>
#include <array>
#include <limits>
#include <vector>

namespace {

using alphaform::colour;
using alphaform::colour_scale;
using alphaform::heat_map_png;

struct picture {
  std::size_t width;
  std::size_t height;
  std::vector<colour> pixels;
  colour at(std::size_t x, std::size_t y) const { return pixels.at(y * width + x); }
};

picture decode(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) != 0);
  CHECK(image.format == PNG_FORMAT_RGB);  // 8 bit RGB in the file, nothing is converted
  picture p{image.width, image.height, std::vector<colour>(std::size_t{image.width} * image.height)};
  REQUIRE(png_image_finish_read(&image, nullptr, p.pixels.data(), 0, nullptr) != 0);
  return p;
}

// From the published tables: RdBu of ColorBrewer with 11 classes, viridis of Matplotlib.
constexpr colour dark_blue{5, 48, 97}, near_white{247, 247, 247}, dark_red{103, 0, 31}, light_red{244, 165, 130};
constexpr colour violet{68, 1, 84}, yellow{253, 231, 37}, grey{128, 128, 128}, white{255, 255, 255};

}  // namespace

TEST_CASE("png: signed values are blue, white, red and the range is symmetric around zero") {
  const std::array<float, 3> values{-2.0F, 0.0F, 0.8F};
  const picture p = decode(heat_map_png(values, 1, 3, {.min_pixels = 3, .scale = colour_scale::linear}));
  REQUIRE(p.width == 3);
  REQUIRE(p.height == 1);
  CHECK(p.at(0, 0) == dark_blue);
  CHECK(p.at(1, 0) == near_white);
  CHECK(p.at(2, 0) == light_red);  // 0.8 / 2 is two of the five steps from white to dark red
}

TEST_CASE("png: the square root scale shows a quarter of the limit as half the depth") {
  const std::array<float, 2> values{-0.25F, 1.0F};
  const picture root = decode(heat_map_png(values, 1, 2, {.min_pixels = 2, .scale = colour_scale::square_root}));
  const std::array<float, 2> halved{-0.5F, 1.0F};
  const picture linear = decode(heat_map_png(halved, 1, 2, {.min_pixels = 2, .scale = colour_scale::linear}));
  CHECK(root.pixels == linear.pixels);
  CHECK(root.at(1, 0) == dark_red);
}

TEST_CASE("png: values without a sign are viridis from zero, what is not finite is grey") {
  const std::array<float, 4> values{0.0F, 7.0F, std::numeric_limits<float>::quiet_NaN(),
                                    -std::numeric_limits<float>::infinity()};
  const picture p = decode(heat_map_png(values, 2, 2, {.min_pixels = 2}));
  CHECK(p.pixels == std::vector<colour>{violet, yellow, grey, grey});
}

TEST_CASE("png: a map of zeros is the colour of zero") {
  const std::array<float, 2> values{0.0F, 0.0F};
  CHECK(decode(heat_map_png(values, 1, 2, {.min_pixels = 1})).pixels == std::vector<colour>{violet, violet});
}

TEST_CASE("png: entries grow by whole factors, without interpolation") {
  std::vector<float> values(37 * 37, 0.0F);
  values[36 * 37] = -1.0F;  // lower left corner
  const picture p = decode(heat_map_png(values, 37, 37));
  constexpr std::size_t factor = 14;  // the smallest with 37 * factor >= 512
  REQUIRE(p.width == 37 * factor);
  REQUIRE(p.height == 37 * factor);
  for (std::size_t y = 0; y < p.height; ++y) {
    for (std::size_t x = 0; x < p.width; ++x) {
      const bool corner = x < factor && y >= 36 * factor;
      REQUIRE(p.at(x, y) == (corner ? dark_blue : near_white));
    }
  }
}

TEST_CASE("png: maps stand side by side with a white gap, each with its own limit and all with one palette") {
  const std::array<float, 4> small{0.0F, 0.1F, 0.1F, 0.0F};
  const std::array<float, 4> large{-9.0F, 0.0F, 0.0F, 9.0F};
  const std::array<alphaform::heat_map, 3> maps{{{small, 2, 2}, {large, 2, 2}, {small, 2, 2}}};
  const picture p = decode(alphaform::heat_maps_png(maps, {.min_pixels = 4, .gap = 3, .across = 2}));
  REQUIRE(p.width == 11);
  REQUIRE(p.height == 11);
  CHECK(p.at(0, 0) == near_white);
  CHECK(p.at(3, 0) == dark_red);
  CHECK(p.at(4, 0) == white);
  CHECK(p.at(6, 10) == white);
  CHECK(p.at(7, 0) == dark_blue);
  CHECK(p.at(10, 3) == dark_red);
  CHECK(p.at(0, 9) == dark_red);
  CHECK(p.at(10, 10) == white);  // no fourth map
}

TEST_CASE("png: a map whose shape is not that of its values is refused") {
  const std::array<float, 3> values{};
  CHECK_THROWS_WITH_AS(heat_map_png(values, 2, 2),
                       "[png] a map of 2 x 2 needs 4 values (at least one) but 3 were given", alphaform::user_error);
  CHECK_THROWS_AS(heat_map_png({}, 0, 0), alphaform::user_error);
  CHECK_THROWS_WITH_AS(alphaform::heat_maps_png({}), "[png] there is no map to draw; give at least one",
                       alphaform::user_error);
}

TEST_CASE("png: a title stands above its map and leaves it as it is") {
  const std::vector<float> values(4, 1.0F);
  const alphaform::heat_map plain{values, 2, 2, {}}, titled{values, 2, 2, "l1"};
  const alphaform::heat_map_style style{.min_pixels = 40};
  const picture without = decode(alphaform::heat_maps_png({&plain, 1}, style));
  const picture with = decode(alphaform::heat_maps_png({&titled, 1}, style));
  REQUIRE(with.width == without.width);
  REQUIRE(with.height == without.height + 22);
  for (std::size_t y = 0; y < without.height; ++y)
    for (std::size_t x = 0; x < without.width; ++x) CHECK(with.at(x, y + 22) == without.at(x, y));
  const auto dark = [&with](std::size_t column, std::size_t row) {
    return !(with.at(2 * column, 2 * row + 2) == white);
  };
  // An l is a stroke of seven rows in the third column; the second letter begins six columns further on.
  for (std::size_t row = 0; row < 7; ++row) CHECK(dark(2, row));
  for (std::size_t row = 0; row < 8; ++row) CHECK_FALSE(dark(4, row));
  for (std::size_t row = 0; row < 7; ++row) CHECK(dark(6 + 2, row));
}

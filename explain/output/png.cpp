// Paints the maps on a white canvas and has libpng's simplified API compress it.
#include <fmt/format.h>
#include <png.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/letters.hpp>
#include <alphaform/explain/output/png.hpp>
#include <vector>

namespace alphaform {
namespace {

struct canvas {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<colour> pixels;  ///< [height, width]
};
static_assert(sizeof(colour) == 3, "libpng reads the pixels as packed RGB bytes");

void check_map(const heat_map& map) {
  if (map.values.empty() || map.rows * map.columns != map.values.size()) {
    throw user_error(fmt::format("[png] a map of {} x {} needs {} values (at least one) but {} were given", map.rows,
                                 map.columns, map.rows * map.columns, map.values.size()));
  }
}

double largest_magnitude(std::span<const float> values) {
  double largest = 0;
  for (const float v : values) largest = std::isfinite(v) ? std::max(largest, std::abs(double{v})) : largest;
  return largest;
}

bool has_negative(const heat_map& map) {
  return std::any_of(map.values.begin(), map.values.end(), [](float v) { return std::isfinite(v) && v < 0; });
}

std::size_t whole_factor(const heat_map& map, std::size_t min_pixels) {
  const std::size_t side = std::max(map.rows, map.columns);
  return std::max<std::size_t>(1, (min_pixels + side - 1) / side);
}

template <class Colour>
void paint(canvas& picture, const heat_map& map, std::size_t left, std::size_t top, std::size_t factor, Colour&& of) {
  for (std::size_t row = 0; row < map.rows; ++row) {
    const auto line = picture.pixels.begin() + static_cast<std::ptrdiff_t>((top + row * factor) * picture.width + left);
    for (std::size_t column = 0; column < map.columns; ++column) {
      std::fill_n(line + static_cast<std::ptrdiff_t>(column * factor), factor,
                  of(map.values[row * map.columns + column]));
    }
    for (std::size_t copy = 1; copy < factor; ++copy) {
      std::copy_n(line, map.columns * factor, line + static_cast<std::ptrdiff_t>(copy * picture.width));
    }
  }
}

/// In black, twice as large as the letters' pixels; what does not fit is cut off.
void write(canvas& picture, std::string_view text, std::size_t left, std::size_t top, std::size_t room) {
  constexpr std::size_t factor = 2;
  for (std::size_t k = 0; k < text.size() && (k + 1) * letters::width * factor <= room; ++k)
    for (std::size_t row = 0; row < letters::height; ++row)
      for (std::size_t column = 0; column < letters::width; ++column) {
        if (!letters::inked(text[k], row, column)) continue;
        const std::size_t x = left + (k * letters::width + column) * factor, y = top + row * factor;
        for (std::size_t line = y; line < y + factor; ++line)
          std::fill_n(picture.pixels.begin() + static_cast<std::ptrdiff_t>(line * picture.width + x), factor,
                      colour{0x20, 0x20, 0x20});
      }
}
constexpr std::size_t title_height = 2 * letters::height + 6;

std::string compress(const canvas& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_RGB;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.pixels.data(), 0, nullptr) == 0) {
    throw runtime_error(
        fmt::format("[png] cannot encode a picture of {} x {} pixels: {}; draw fewer maps or smaller ones",
                    picture.width, picture.height, image.message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::string heat_map_png(std::span<const float> values, std::size_t rows, std::size_t columns,
                         const heat_map_style& style) {
  const heat_map map{values, rows, columns, {}};
  return heat_maps_png({&map, 1}, style);
}

std::string heat_maps_png(std::span<const heat_map> maps, const heat_map_style& style) {
  if (maps.empty()) throw user_error("[png] there is no map to draw; give at least one");
  std::size_t cell_width = 0;
  std::size_t cell_height = 0;
  for (const heat_map& map : maps) {
    check_map(map);
    const std::size_t factor = whole_factor(map, style.min_pixels);
    cell_width = std::max(cell_width, map.columns * factor);
    cell_height = std::max(cell_height, map.rows * factor);
  }
  const auto square = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(maps.size()))));
  const std::size_t across = std::min(style.across == 0 ? square : style.across, maps.size());
  const std::size_t down = (maps.size() + across - 1) / across;

  const bool titled = std::any_of(maps.begin(), maps.end(), [](const heat_map& m) { return !m.title.empty(); });
  const std::size_t above = titled ? title_height : 0;
  const std::size_t step = above + cell_height + style.gap;

  canvas picture{across * (cell_width + style.gap) - style.gap, down * step - style.gap, {}};
  constexpr std::size_t libpng_limit = 1'000'000;
  if (std::max(picture.width, picture.height) > libpng_limit) {
    throw runtime_error(
        fmt::format("[png] a picture of {} x {} pixels is too large (at most {} a side); draw fewer maps",
                    picture.width, picture.height, libpng_limit));
  }
  picture.pixels.assign(picture.width * picture.height, colour{0xff, 0xff, 0xff});

  const bool diverging = std::any_of(maps.begin(), maps.end(), has_negative);
  for (std::size_t k = 0; k < maps.size(); ++k) {
    const double limit = largest_magnitude(maps[k].values);
    const auto colour_of = [&](float v) {
      return diverging ? palette::of_signed(v, limit, style.scale) : palette::of_magnitude(v, limit, style.scale);
    };
    const std::size_t left = k % across * (cell_width + style.gap), top = k / across * step;
    write(picture, maps[k].title, left, top + 2, std::min(cell_width + style.gap, picture.width - left));
    paint(picture, maps[k], left, top + above, whole_factor(maps[k], style.min_pixels), colour_of);
  }
  return compress(picture);
}

}  // namespace alphaform

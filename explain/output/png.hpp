// Matrices as pictures: one coloured square an entry, no interpolation, 8-bit RGB.
#pragma once
#include <alphaform/explain/output/palette.hpp>
#include <cstddef>
#include <span>
#include <string>

namespace alphaform {

struct heat_map_style {
  std::size_t min_pixels = 512;  ///< entries grow by a whole factor until the longer side of a map has this many pixels
  std::size_t gap = 12;          ///< white pixels between maps
  std::size_t across = 0;        ///< maps in a row of the picture; 0: as many as make the grid about square
  colour_scale scale = colour_scale::square_root;
};

/// A matrix to draw: values [rows, columns], row-major; the first row is on top. Its title stands above it: small
/// letters, digits and blanks.
struct heat_map {
  std::span<const float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::string title{};
};

/// The bytes of a PNG file. The full colour is the largest magnitude. With a negative entry the palette is diverging
/// around 0, otherwise sequential from 0; entries that are not finite are grey.
/// @throws user_error     if the map is empty or rows * columns is not the number of values
/// @throws runtime_error  if libpng fails, for example because the picture is too large
std::string heat_map_png(std::span<const float> values, std::size_t rows, std::size_t columns,
                         const heat_map_style& style = {});

/// Several maps in one picture, left to right, then top to bottom. Each has its own full colour; all share one palette.
/// @throws  as heat_map_png, and user_error if there is no map
std::string heat_maps_png(std::span<const heat_map> maps, const heat_map_style& style = {});

}  // namespace alphaform

// One array a layer, plus what is needed to read them without result.json.
#include <alphaform/explain/output/maps.hpp>
#include <alphaform/explain/output/npy.hpp>
#include <alphaform/explain/output/npz.hpp>
#include <alphaform/explain/output/shapes.hpp>
#include <array>
#include <cstddef>

namespace alphaform {

std::string map_name(const layer_map& map) { return "layer_" + std::to_string(map.layer); }

std::string maps_npz(const explanation& e) {
  check_shapes(e);
  const std::size_t tokens = e.pieces.size();
  const std::array<std::size_t, 1> vector{tokens};
  const std::array<std::size_t, 2> matrix{tokens, tokens};
  std::vector<named_array> arrays;
  for (const layer_map& map : e.maps) arrays.push_back({map_name(map), npy_bytes(map.values, matrix)});
  arrays.push_back({"scores", npy_bytes(e.scores, vector)});
  arrays.push_back({"ids", npy_bytes(e.ids, vector)});
  return npz_bytes(arrays);
}

}  // namespace alphaform

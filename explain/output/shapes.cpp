// The number of pieces is the number of tokens; everything else has to agree with it.
#include <fmt/format.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/shapes.hpp>

namespace alphaform {
namespace {

void expect(const std::string& what, std::size_t found, std::size_t expected) {
  if (found == expected) return;
  throw internal_error(fmt::format("[explanation] {} has {} entries but the tokens ask for {}; please report this",
                                   what, found, expected));
}

}  // namespace

void check_shapes(const explanation& e) {
  const std::size_t tokens = e.pieces.size();
  expect("ids", e.ids.size(), tokens);
  expect("special", e.special.size(), tokens);
  expect("scores", e.scores.size(), tokens);
  for (const layer_map& map : e.maps) {
    expect(fmt::format("the map of layer {}", map.layer), map.values.size(), tokens * tokens);
  }
}

}  // namespace alphaform

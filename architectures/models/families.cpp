// Every format that can be loaded. Of those with the same model_type the first whose marker a file has is taken; a new
// naming of a known model is one more row of a table.
#include <algorithm>
#include <alphaform/architectures/models/tables/fla.hpp>
#include <alphaform/architectures/models/tables/images.hpp>
#include <alphaform/architectures/models/tables/mamba.hpp>
#include <alphaform/architectures/models/tables/rwkv.hpp>
#include <alphaform/architectures/models/tables/transformers.hpp>
#include <array>

namespace alphaform {

namespace {
template <std::size_t... N>
constexpr auto joined(const family (&... tables)[N]) {
  std::array<family, (N + ...)> all{};
  std::size_t at = 0;
  (std::copy(std::begin(tables), std::end(tables),
             all.begin() + static_cast<std::ptrdiff_t>(std::exchange(at, at + N))),
   ...);
  return all;
}
// Formats with a marker before those without.
constexpr auto table = joined(models::image_families, models::mamba_families, models::transformers_families,
                              models::fla_families, models::rwkv_families);
}  // namespace

constinit const std::span<const family> families = table;

}  // namespace alphaform

// Scans of states with channels as lanes: strips of tokens are packed so that every lane's numbers are in cache and in
// order, and each strip then goes through the states a few at a time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/states/window.cpp"
// The choice of targets comes first.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <alphaform/backends/cpu/states/strip-inl.hpp>
#include <alphaform/backends/cpu/states/window.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// The channels from `first` on that fit into a tile, so that their states stay in the cache.
void scan_tile(const states_window& w, std::size_t first, std::size_t channels) {
  const std::size_t count = w.tokens + std::max(w.decay_lag, w.write_lag);
  const std::size_t strips = std::max<std::size_t>(1, (count + strip_steps / 2) / strip_steps);
  strip s(w, first, channels, (count + strips - 1) / strips);
  s.load_states();
  for (std::size_t k = 0; k < strips; ++k) s.advance(count * k / strips, count * (k + 1) / strips);
  s.store_states();
}

void scan_tiles(const states_window& w) {
  for (std::size_t c = 0; c < w.channels; c += tile_channels) scan_tile(w, c, std::min(tile_channels, w.channels - c));
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
HWY_EXPORT(scan_tiles);
void scan(const states_window& w) { HWY_DYNAMIC_DISPATCH(scan_tiles)(w); }
}  // namespace alphaform::cpu
#endif

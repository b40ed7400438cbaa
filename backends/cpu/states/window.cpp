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

#include <alphaform/backends/cpu/states/pass-inl.hpp>
#include <alphaform/backends/cpu/states/strip-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// Tile after tile of channels, so that their states stay in the cache; each in strips of about as many steps.
template <class Strip, class From>
void scan_tiles(const From& from, std::size_t channels, std::size_t steps) {
  const std::size_t strips = std::max<std::size_t>(1, (steps + strip_steps / 2) / strip_steps);
  for (std::size_t c = 0; c < channels; c += tile_channels) {
    Strip s(from, c, std::min(tile_channels, channels - c), (steps + strips - 1) / strips);
    s.load_states();
    const auto begin = [&](std::size_t k) { return steps * std::min(k, strips) / strips; };
    for (std::size_t k = 0; k < strips; ++k) s.advance(begin(k), begin(k + 1), begin(k + 2));
    s.store_states();
  }
}

void scan_window(const states_window& w) {
  scan_tiles<strip>(w, w.channels, w.tokens + std::max(w.decay_lag, w.write_lag));
}
void scan_pass(const states_pass& p) { scan_tiles<pass_strip>(p, p.w.channels, p.w.tokens); }

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
HWY_EXPORT(scan_window);
HWY_EXPORT(scan_pass);
void scan(const states_window& w) { HWY_DYNAMIC_DISPATCH(scan_window)(w); }
void scan(const states_pass& p) { HWY_DYNAMIC_DISPATCH(scan_pass)(p); }
}  // namespace alphaform::cpu
#endif

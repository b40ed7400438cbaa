// Sums for gradients with channels as lanes: tiles of channels and some of their states, one after the other.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/gradient/window.cpp"
// The choice of targets comes first.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <alphaform/backends/cpu/gradient/pass-inl.hpp>
#include <alphaform/backends/cpu/gradient/window.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

void add_window(const gradient_window& w) {
  const gradient_plan plan(w);
  float* const memory = scratch(plan.memory.size());
  const std::size_t tile = plan.vectors * width;
  for (std::size_t c = 0; c < w.channels; c += tile)
    for (std::size_t n = 0; n < w.states; n += plan.states)
      gradient_pass(w, plan, memory, {c, std::min(tile, w.channels - c), n, std::min(plan.states, w.states - n)}).run();
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {
HWY_EXPORT(add_window);
void add_sums(const gradient_window& w) { HWY_DYNAMIC_DISPATCH(add_window)(w); }
}  // namespace alphaform::cpu
#endif

// Loops over views as a few long runs: the innermost axes along which every operand is either contiguous or the same
// become one run.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::cpu {

/// Is the operand contiguous over axes k.. (1), the same for all of them (0), or neither (2)?
template <class T>
std::size_t run_step(const view<T>& v, const extents& size, std::size_t k) {
  bool repeats = true, follows = true;
  std::size_t n = 1;
  for (std::size_t a = axis_count; a-- > k;) {
    if (size[a] == 1) continue;
    repeats &= v.stride[a] == 0;
    follows &= v.stride[a] == n;
    n *= size[a];
  }
  return repeats ? 0 : follows ? 1 : 2;
}

/// Calls f(length, {pointer, step} ...) for every run of `size`; a step is 0 or 1.
template <class F, class... T>
void runs(const extents& size, F f, const view<T>&... v) {
  if (volume(size) == 0) return;
  std::size_t k = axis_count;
  while (k > 0 && ((run_step(v, size, k - 1) < 2) && ...)) --k;
  std::size_t length = 1;
  for (std::size_t a = k; a < axis_count; ++a) length *= size[a];
  const auto each_run = [&](const auto... step) {
    extents i{};
    for (;;) {
      const auto offset = [&](const auto& w) {
        std::size_t o = 0;
        for (std::size_t a = 0; a < k; ++a) o += i[a] * w.stride[a];
        return o;
      };
      f(length, v.data + offset(v)..., step...);
      std::size_t a = k;
      while (a > 0 && ++i[a - 1] == size[a - 1]) i[--a] = 0;
      if (a == 0) return;
    }
  };
  each_run(run_step(v, size, k)...);
}

}  // namespace alphaform::cpu

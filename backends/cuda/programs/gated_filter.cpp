// Filters of what programs make of their operands on the way.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/programs/call.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <vector>

namespace alphaform::cuda {

namespace {

/// Taps as tokens, which are no axis of a call's entries.
view<float> along_tokens(const in& taps) {
  view<float> v = all_of(std::span(&taps, 1)).front();
  at(v.size, axis::token) = v.of(axis::tap);
  at(v.stride, axis::token) = v.step(axis::tap);
  at(v.size, axis::tap) = 1;
  return v;
}
int count_of(const in& taps) { return taps.data == nullptr ? 0 : static_cast<int>(taps.of(axis::tap)); }

/// Tokens of a thread: with those that it only looks at, a multiple of the four that it takes at once.
std::int64_t run_of(std::int64_t tokens, std::int64_t lanes, std::int64_t taps) {
  constexpr std::int64_t enough_threads = 1 << 17, shortest = 16, longest = 64;
  return std::clamp(tokens * lanes / enough_threads / 4 * 4, shortest, longest) - (taps - 1);
}

}  // namespace

void gated_fir_adjoint(const pointwise& p, std::span<const filtered_stream<float>> operands, in taps, out y) {
  if (volume(y.size) == 0) return;
  filter_layout f;
  f.taps = count_of(taps);
  std::vector<view<float>> all, of_operands;
  for (const filtered_stream<float>& v : operands) {
    all.push_back(all_of(std::span(&v.x, 1)).front());
    f.operands.push_back({.taps = count_of(v.taps)});
    f.operands.back().stays = f.operands.back().taps == 0 && v.x.of(axis::token) == 1;
    if (f.operands.back().taps > 0) of_operands.push_back(along_tokens(v.taps));
  }
  all.push_back(y);
  all.push_back(along_tokens(taps));
  all.insert(all.end(), of_operands.begin(), of_operands.end());
  call c(y.size, all, true);
  f.formats = c.formats();
  f.lanes = 4;
  for (std::size_t k = 0; k <= operands.size(); ++k)
    if (!c.has_fours(k) && (k == operands.size() || !c.repeats(k))) f.lanes = 1;
  std::vector<std::int64_t> how{f.lanes, f.taps};
  for (std::size_t k = 0; k < operands.size(); ++k) {
    filter_operand& v = f.operands[k];
    v.repeats = f.lanes == 4 && c.repeats(k);
    how.insert(how.end(), {v.taps, v.repeats, v.stays});
  }
  const cudaKernel_t kernel =
      kernel_of(p, "filter", c.and_formats(std::move(how)), [&] { return translated_filter(p, f); });
  constexpr std::int64_t threads = 128;
  const std::int64_t lanes = c.entries() / f.lanes;
  std::int64_t run = run_of(c.tokens(), lanes, f.taps);
  const std::int64_t all_threads = lanes * ((c.tokens() + run - 1) / run);
  void* arguments[] = {c.argument(), &run};
  launch(kernel, static_cast<unsigned>((all_threads + threads - 1) / threads), threads, 0, arguments);
}

}  // namespace alphaform::cuda

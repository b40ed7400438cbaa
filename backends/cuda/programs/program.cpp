// Pointwise programs and scans on the card.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/programs/call.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <vector>

namespace alphaform::cuda {

namespace {

constexpr unsigned threads = 256;

unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((n + threads - 1) / threads, 1, std::int64_t{1} << 30));
}

}  // namespace

void evaluate(const pointwise& p, std::span<const in> operands, out y) {
  if (volume(y.size) == 0) return;
  std::vector<view<float>> all = all_of(operands);
  all.push_back(y);
  call c(y.size, all, false);
  const int at_once = c.in_fours() ? 4 : 1;
  void* arguments[] = {c.argument()};
  const cudaKernel_t kernel =
      kernel_of(p, "evaluate", c.and_formats({at_once}), [&] { return translated(p, at_once, c.formats()); });
  launch(kernel, blocks_for(c.entries() / at_once), threads, 0, arguments);
}

void map(code function, in x, out y) {
  const pointwise p{{{.is = pointwise::operation::load, .to = 0, .a = 0},
                     {.is = pointwise::operation::map, .to = 0, .a = 0, .function = function}},
                    1,
                    1};
  evaluate(p, std::span(&x, 1), y);
}

void scan(const pointwise& p, std::span<const in> operands, out h, out y) {
  if (volume(y.size) == 0) return;
  std::vector<view<float>> all = all_of(operands);
  all.push_back(h);
  all.push_back(y);
  call c(y.size, all, true);
  const auto lanes = static_cast<std::size_t>(c.entries()), groups = (lanes + 31) / 32,
             tile = std::size_t{scan_warps * scan_run},
             tiles = (static_cast<std::size_t>(c.tokens()) + tile - 1) / tile;
  const scratch<std::uint64_t> shared_by_tiles(1 + 2 * lanes);
  clear(shared_by_tiles.data(), (1 + 2 * lanes) * sizeof(std::uint64_t));
  std::uint64_t* between = shared_by_tiles.data();
  void* arguments[] = {c.argument(), &between};
  const cudaKernel_t kernel = kernel_of(p, "scan", c.and_formats({}), [&] { return translated_scan(p, c.formats()); });
  launch(kernel, static_cast<unsigned>(tiles * groups), scan_warps * 32, 0, arguments);
}

}  // namespace alphaform::cuda

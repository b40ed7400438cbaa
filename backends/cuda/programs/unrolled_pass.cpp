// Passes over unrolled recurrences: how their lanes are divided among blocks.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/programs/call.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <alphaform/backends/cuda/widened.hpp>
#include <array>
#include <limits>
#include <utility>
#include <vector>

namespace alphaform::cuda {

namespace {

/// Consecutive lanes for which both are the same.
std::int64_t run_of(const extents& lanes, const in& write, const in& read) {
  std::int64_t run = 1;
  for (std::size_t a = axis_count; a-- > 0;) {
    if (every_axis[a] == axis::token || every_axis[a] == axis::state) continue;
    if (write.size[a] != 1 || read.size[a] != 1) break;
    run *= static_cast<std::int64_t>(lanes[a]);
  }
  return run;
}

/// Blocks that are done soonest: a processor has registers for some at a time, and what is left over takes as long
/// again. By measurement a token takes longer by so much for each warp that a processor has besides.
void divide(states_layout& s, std::int64_t runs, std::int64_t run) {
  constexpr int most_quads = 4;
  constexpr double of_token = 36, of_warp = 4;  // cycles
  double least = std::numeric_limits<double>::infinity();
  states_layout tried = s;
  for (tried.quads = most_quads; tried.quads >= 1; --tried.quads) {
    tried.tile = 64;
    while (tried.tile > 16 && tried.shared() > shared_memory()) tried.tile /= 2;
    const std::size_t shared = tried.shared();
    if ((shared > shared_memory() || tried.threads() > 1024) && tried.quads > 1) continue;
    const int warps = tried.quads * tried.parts;
    const std::int64_t blocks = runs * ((run + 4 * tried.quads - 1) / (4 * tried.quads)), all = processors(),
                       room = std::max<std::int64_t>(
                           1, std::min<std::int64_t>(most_quads / warps,
                                                     static_cast<std::int64_t>(shared_memory() / shared))),
                       at_once = std::min(room, (blocks + all - 1) / all),
                       rounds = (blocks + all * at_once - 1) / (all * at_once);
    const double cost = static_cast<double>(rounds) * (of_token + of_warp * static_cast<double>(warps * at_once));
    if (cost < least) least = cost, s = tried;
  }
}

}  // namespace

void unrolled_pass(const pointwise& p, const state_factors<float>& factors, std::span<const in> operands, out h,
                   out y) {
  if (volume(y.size) == 0 || volume(h.size) == 0) return;
  float32_copies whole;
  const state_factors<float> f = whole(factors);
  std::vector<view<float>> all = all_of(operands);
  for (const view<float>& v : all_of(std::array{f.log_decay, f.write, f.read})) all.push_back(v);
  all.push_back(h);
  all.push_back(y);
  const bool write_stays = f.write.of(axis::token) == 1, read_stays = f.read.of(axis::token) == 1;
  const in one{};
  const std::int64_t run = run_of(y.size, write_stays ? one : f.write, read_stays ? one : f.read),
                     runs = call(y.size, all, true).entries() / run;
  for (const call given(y.size, all, true); view<float> & v : all) {
    const auto k = static_cast<std::size_t>(&v - all.data());
    if (run % 4 == 0 && given.has_fours(k) && v.of(axis::token) > 1) continue;
    v = k + 1 == all.size() ? whole(v) : all_of(std::array{whole(in(v))}).front();
  }
  call c(y.size, all, true);
  states_layout s;
  s.one_decay = f.log_decay.of(axis::state) == 1;
  s.write_stays = write_stays;
  s.read_stays = read_stays;
  for (const view<float>& v : all) s.token_steps.push_back(static_cast<std::int64_t>(v.step(axis::token)));
  s.formats = c.formats();
  const std::size_t states = h.of(axis::state);
  s.parts = static_cast<int>((states + 15) / 16);
  const auto step = [](const auto& v) { return static_cast<std::int64_t>(v.step(axis::state)); };
  const std::size_t write = operands.size() + 1, read = write + 1;
  s.write_pairs = step(f.write) == 1 && c.lies_on(write, 2);
  s.read_pairs = step(f.read) == 1 && c.lies_on(read, 2);
  for (std::size_t k = 0; k < all.size(); ++k) s.fours.push_back(run % 4 == 0 && c.has_fours(k));
  for (const view<float>& v : all) s.one_for_lanes.push_back(volume(v.size) == v.of(axis::token));
  divide(s, runs, run);
  std::array<std::int64_t, 6> numbers{
      run, static_cast<std::int64_t>(states), step(f.log_decay), step(f.write), step(f.read), step(h)};
  void* arguments[] = {c.argument(), numbers.data()};
  std::vector<std::int64_t> how{s.quads,       s.parts,      s.tile,        s.one_decay,
                                s.write_stays, s.read_stays, s.write_pairs, s.read_pairs};
  how.insert(how.end(), s.fours.begin(), s.fours.end());
  how.insert(how.end(), s.one_for_lanes.begin(), s.one_for_lanes.end());
  how.insert(how.end(), s.token_steps.begin(), s.token_steps.end());
  const cudaKernel_t kernel =
      kernel_of(p, "states", c.and_formats(std::move(how)), [&] { return translated_states(p, s); });
  launch(kernel, static_cast<unsigned>(runs * ((run + 4 * s.quads - 1) / (4 * s.quads))),
         static_cast<unsigned>(s.threads()), s.shared(), arguments);
  whole.give_back();
}

}  // namespace alphaform::cuda

// Passes over unrolled recurrences: how their lanes are divided among blocks.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/programs/call.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <array>
#include <limits>
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

/// Blocks that are done soonest: processors have room for some at a time, and what is left over takes as long again. A
/// token's part of what threads join takes longer the shorter their runs are.
void divide(states_layout& s, std::int64_t runs, std::int64_t run, std::int64_t tokens, std::size_t states) {
  constexpr int most = 12;                     // lanes of a processor, so that a thread has enough registers
  constexpr double of_token = 6, of_run = 26;  // instructions for each state
  double least = std::numeric_limits<double>::infinity();
  states_layout tried = s;
  for (tried.run = tokens <= 128 ? 4 : tokens <= 256 ? 8 : 16; tried.run >= 4; tried.run /= 2)
    for (tried.lanes = most; tried.lanes >= 4; tried.lanes -= 4) {
      const std::size_t shared = tried.shared(states);
      if (shared > shared_memory() && !(tried.run == 4 && tried.lanes == 4)) continue;
      const auto at_once = static_cast<std::int64_t>(
          std::max<std::size_t>(1, std::min(shared_memory() / shared, static_cast<std::size_t>(most / tried.lanes))));
      const std::int64_t blocks = runs * ((run + tried.lanes - 1) / tried.lanes), room = processors() * at_once,
                         rounds = (blocks + room - 1) / room;
      const double cost = static_cast<double>(rounds) * (of_token + of_run / tried.run);
      if (cost < least) least = cost, s = tried;
    }
}

}  // namespace

void unrolled_pass(const pointwise& p, const state_factors<float>& f, std::span<const in> operands, out h, out y) {
  if (volume(y.size) == 0 || volume(h.size) == 0) return;
  std::vector<view<float>> all = all_of(operands);
  for (const view<float>& v : all_of(std::array{f.log_decay, f.write, f.read})) all.push_back(v);
  all.push_back(h);
  all.push_back(y);
  call c(y.size, all, true);
  const bool write_stays = f.write.of(axis::token) == 1, read_stays = f.read.of(axis::token) == 1;
  const in one{};
  const std::int64_t run = run_of(y.size, write_stays ? one : f.write, read_stays ? one : f.read),
                     runs = c.entries() / run;
  states_layout s;
  s.one_decay = f.log_decay.of(axis::state) == 1;
  s.write_stays = write_stays;
  s.read_stays = read_stays;
  for (const view<float>& v : all) s.token_steps.push_back(static_cast<std::int64_t>(v.step(axis::token)));
  const std::size_t states = h.of(axis::state);
  divide(s, runs, run, c.tokens(), states);
  const auto step = [](const auto& v) { return static_cast<std::int64_t>(v.step(axis::state)); };
  std::array<std::int64_t, 6> numbers{
      run, static_cast<std::int64_t>(states), step(f.log_decay), step(f.write), step(f.read), step(h)};
  void* arguments[] = {c.argument(), numbers.data()};
  std::vector<std::int64_t> how{s.run, s.lanes, s.one_decay, s.write_stays, s.read_stays};
  how.insert(how.end(), s.token_steps.begin(), s.token_steps.end());
  const cudaKernel_t kernel = kernel_of(p, "states", how, [&] { return translated_states(p, s); });
  launch(kernel, static_cast<unsigned>(runs * ((run + s.lanes - 1) / s.lanes)), static_cast<unsigned>(32 * s.lanes),
         s.shared(states), arguments);
}

}  // namespace alphaform::cuda

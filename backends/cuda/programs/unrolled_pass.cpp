// Passes over unrolled recurrences: how their lanes are divided among blocks.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/programs/call.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <array>
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

/// Blocks of the most lanes that leave no processor with more of them than need be, with the longest runs for which
/// they have room.
void divide(states_layout& s, std::int64_t runs, std::int64_t run, std::int64_t tokens, std::size_t states) {
  constexpr int most = 12;          // lanes, so that a thread has enough registers
  const auto of_one = [&](int n) {  // lanes of a processor
    const std::int64_t blocks = runs * ((run + n - 1) / n);
    return (blocks + processors() - 1) / processors() * n;
  };
  const auto best = [&](int limit) {
    int lanes = 4;
    for (int n = 8; n <= limit; n += 4)
      if (of_one(n) <= of_one(lanes)) lanes = n;
    return lanes;
  };
  const int wanted = best(most);
  for (s.run = tokens <= 128 ? 4 : tokens <= 256 ? 8 : 16;; s.run /= 2) {
    s.lanes = most;
    while (s.lanes > 4 && s.shared(states) > shared_memory()) s.lanes -= 4;
    s.lanes = best(s.lanes);
    const bool has_room = s.shared(states) <= shared_memory();
    if (s.run == 4 || (has_room && of_one(s.lanes) <= of_one(wanted))) return;
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

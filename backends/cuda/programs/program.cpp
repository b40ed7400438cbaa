// Pointwise programs and scans on the card.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/programs/compile.hpp>
#include <alphaform/backends/cuda/programs/source.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <array>
#include <cstring>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace alphaform::cuda {

namespace {

constexpr unsigned threads = 256;

/// The first argument of a translated kernel; see call_type in source.cpp.
class call final {
 public:
  /// @param tokens_apart  the token axis is no axis of entries; its steps are the last of each operand
  call(const extents& size, const std::vector<view<float>>& operands, bool tokens_apart) {
    extents own = size;
    if (tokens_apart) at(own, axis::token) = 1;
    const std::size_t count = operands.size();
    numbers_.assign(place(count), 0);
    std::size_t axes = 0;
    entries() = 1;
    for (std::size_t a = axis_count; a-- > 0;) {
      if (own[a] == 1) continue;
      const auto n = static_cast<std::int64_t>(own[a]);
      entries() *= n;
      bool follows = axes > 0 && length(axes - 1) * n < std::int64_t{1} << 31;  // as kernels divide by 32 bits
      for (std::size_t k = 0; follows && k < count; ++k)
        follows = static_cast<std::int64_t>(operands[k].stride[a]) == step(k, axes - 1) * length(axes - 1);
      if (follows) {
        length(axes - 1) *= n;
        continue;
      }
      length(axes) = n;
      for (std::size_t k = 0; k < count; ++k) step(k, axes) = static_cast<std::int64_t>(operands[k].stride[a]);
      ++axes;
    }
    if (axes == 0) length(axes++) = 1;
    numbers_[1] = static_cast<std::int64_t>(axes);
    tokens() = static_cast<std::int64_t>(at(size, axis::token));
    for (std::size_t k = 0; k < count; ++k) {
      static_assert(sizeof(float*) == sizeof(std::int64_t));
      std::memcpy(&numbers_[place(k)], &operands[k].data, sizeof(float*));
      if (tokens_apart) step(k, call_axes - 1) = static_cast<std::int64_t>(operands[k].step(axis::token));
    }
    in_fours_ = length(0) % 4 == 0;
    for (std::size_t k = 0; k < count; ++k) {
      const bool repeats = step(k, 0) == 0 && k + 1 < count;
      bool aligned = step(k, 0) == 1 && reinterpret_cast<std::uintptr_t>(operands[k].data) % 16 == 0;
      for (std::size_t a = 1; a < axes; ++a) aligned = aligned && step(k, a) % 4 == 0;
      in_fours_ = in_fours_ && (repeats || aligned);
    }
  }

  std::int64_t& entries() { return numbers_[0]; }
  std::int64_t& tokens() { return numbers_[2 + call_axes]; }
  bool in_fours() const { return in_fours_; }
  void* argument() { return numbers_.data(); }

 private:
  static std::size_t place(std::size_t k) { return 3 + call_axes + k * (1 + call_axes); }
  std::int64_t& length(std::size_t a) { return numbers_[2 + a]; }
  std::int64_t& step(std::size_t k, std::size_t a) { return numbers_[place(k) + 1 + a]; }

  std::vector<std::int64_t> numbers_;
  bool in_fours_ = false;
};

unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((n + threads - 1) / threads, 1, std::int64_t{1} << 30));
}

std::vector<view<float>> all_of(std::span<const in> operands) {
  std::vector<view<float>> all;
  for (const in& v : operands) all.push_back({const_cast<float*>(v.data), v.size, v.stride});
  return all;
}

/// The kernel of a program; texts are made and compiled once. @param how  tells apart what is made of one program
template <class Source>
cudaKernel_t kernel_of(const pointwise& p, const char* name, const std::vector<std::int64_t>& how,
                       const Source& source) {
  static std::mutex guard;
  static std::unordered_map<std::string, cudaKernel_t> known;
  std::string key = name;
  for (const int k : {int{p.operands}, int{p.registers}}) key += static_cast<char>(k);
  for (const std::int64_t k : how) key.append(reinterpret_cast<const char*>(&k), sizeof k);
  for (const pointwise::instruction& n : p.instructions) {
    for (const auto part : {static_cast<code>(n.is), n.to, n.a, n.b, n.c, n.function}) key += static_cast<char>(part);
    if (n.is != pointwise::operation::number) continue;
    char bytes[sizeof(double)];
    std::memcpy(bytes, &n.number, sizeof(double));
    key.append(bytes, sizeof(double));
  }
  const std::lock_guard lock(guard);
  const auto found = known.try_emplace(std::move(key), nullptr).first;
  if (found->second == nullptr) found->second = compiled(source(), name);
  return found->second;
}

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

void evaluate(const pointwise& p, std::span<const in> operands, out y) {
  if (volume(y.size) == 0) return;
  std::vector<view<float>> all = all_of(operands);
  all.push_back(y);
  call c(y.size, all, false);
  const int at_once = c.in_fours() ? 4 : 1;
  void* arguments[] = {c.argument()};
  const cudaKernel_t kernel = kernel_of(p, "evaluate", {at_once}, [&] { return translated(p, at_once); });
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
  check(cudaMemsetAsync(shared_by_tiles.data(), 0, (1 + 2 * lanes) * sizeof(std::uint64_t), queue()), "clear memory");
  std::uint64_t* between = shared_by_tiles.data();
  void* arguments[] = {c.argument(), &between};
  const cudaKernel_t kernel = kernel_of(p, "scan", {}, [&] { return translated_scan(p); });
  launch(kernel, static_cast<unsigned>(tiles * groups), scan_warps * 32, tile * 32 * 2 * sizeof(float), arguments);
}

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

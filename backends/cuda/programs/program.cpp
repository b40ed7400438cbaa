// Pointwise programs and scans on the card.
#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/programs/compile.hpp>
#include <alphaform/backends/cuda/programs/translate.hpp>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace alphaform::cuda {

namespace {

constexpr unsigned threads = 256;

/// The argument of a translated kernel; see call_type in translate.cpp.
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

/// The kernel of a program; texts are made and compiled once. @param at_once  0 for a scan
cudaKernel_t kernel_of(const pointwise& p, int at_once) {
  static std::mutex guard;
  static std::unordered_map<std::string, cudaKernel_t> known;
  std::string key{static_cast<char>(at_once), static_cast<char>(p.operands), static_cast<char>(p.registers)};
  for (const pointwise::instruction& n : p.instructions) {
    for (const auto part : {static_cast<code>(n.is), n.to, n.a, n.b, n.c, n.function}) key += static_cast<char>(part);
    if (n.is != pointwise::operation::number) continue;
    char bytes[sizeof(double)];
    std::memcpy(bytes, &n.number, sizeof(double));
    key.append(bytes, sizeof(double));
  }
  const std::lock_guard lock(guard);
  const auto found = known.try_emplace(std::move(key), nullptr).first;
  if (found->second == nullptr)
    found->second = at_once == 0 ? compiled(translated_scan(p), "scan") : compiled(translated(p, at_once), "evaluate");
  return found->second;
}

}  // namespace

void evaluate(const pointwise& p, std::span<const in> operands, out y) {
  if (volume(y.size) == 0) return;
  std::vector<view<float>> all = all_of(operands);
  all.push_back(y);
  call c(y.size, all, false);
  const int at_once = c.in_fours() ? 4 : 1;
  void* arguments[] = {c.argument()};
  launch(kernel_of(p, at_once), blocks_for(c.entries() / at_once), threads, 0, arguments);
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
  const scratch<double> carried(lanes);
  const scratch<unsigned> tickets(1 + groups);
  check(cudaMemsetAsync(tickets.data(), 0, (1 + groups) * sizeof(unsigned), queue()), "clear memory");
  double* carry = carried.data();
  unsigned* counters = tickets.data();
  void* arguments[] = {c.argument(), &carry, &counters};
  launch(kernel_of(p, 0), static_cast<unsigned>(tiles * groups), scan_warps * 32, tile * 32 * 2 * sizeof(float),
         arguments);
}

}  // namespace alphaform::cuda

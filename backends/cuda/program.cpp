// Pointwise programs and scans on the card.
#include <algorithm>
#include <alphaform/backends/cuda/compile.hpp>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/translate.hpp>
#include <cstring>
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
    numbers_.assign(2 + call_axes + 2 + count * (1 + call_axes), 0);
    std::size_t axes = 0;
    entries() = 1;
    for (std::size_t a = axis_count; a-- > 0;) {
      if (own[a] == 1) continue;
      const auto n = static_cast<std::int64_t>(own[a]);
      entries() *= n;
      bool follows = axes > 0;
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
  std::int64_t& chunk() { return numbers_[3 + call_axes]; }
  bool in_fours() const { return in_fours_; }
  void* argument() { return numbers_.data(); }

 private:
  static std::size_t place(std::size_t k) { return 4 + call_axes + k * (1 + call_axes); }
  std::int64_t& length(std::size_t a) { return numbers_[2 + a]; }
  std::int64_t& step(std::size_t k, std::size_t a) { return numbers_[place(k) + 1 + a]; }

  std::vector<std::int64_t> numbers_;
  bool in_fours_ = false;
};

unsigned blocks_for(std::int64_t n, std::int64_t most = std::int64_t{1} << 30) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((n + threads - 1) / threads, 1, most));
}

std::vector<view<float>> all_of(std::span<const in> operands) {
  std::vector<view<float>> all;
  for (const in& v : operands) all.push_back({const_cast<float*>(v.data), v.size, v.stride});
  return all;
}

/// As many chunks as make the card busy; chunks are short, so that a lane's are many.
std::int64_t chunks_for(std::int64_t tokens, std::int64_t lanes) {
  constexpr std::int64_t busy = 132 * 1024, fewest_tokens = 32, most_tokens = 256, most_chunks = 65535;
  const std::int64_t wanted = std::min((busy + lanes - 1) / lanes, (tokens + fewest_tokens - 1) / fewest_tokens);
  return std::min(std::max(wanted, (tokens + most_tokens - 1) / most_tokens), most_chunks);
}

}  // namespace

void evaluate(const pointwise& p, std::span<const in> operands, out y) {
  if (volume(y.size) == 0) return;
  std::vector<view<float>> all = all_of(operands);
  all.push_back(y);
  call c(y.size, all, false);
  const int at_once = c.in_fours() ? 4 : 1;
  void* arguments[] = {c.argument()};
  launch(compiled(translated(p, at_once), "evaluate"), blocks_for(c.entries() / at_once), threads, arguments);
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
  const std::string source = translated_scan(p);
  const std::int64_t lanes = c.entries();
  std::int64_t chunks = chunks_for(c.tokens(), lanes);
  c.chunk() = (c.tokens() + chunks - 1) / chunks;
  chunks = (c.tokens() + c.chunk() - 1) / c.chunk();
  const unsigned along = blocks_for(lanes);
  double* none = nullptr;
  if (chunks == 1) {
    void* arguments[] = {c.argument(), &none};
    return launch(compiled(source, "finish"), along, threads, arguments);
  }
  const scratch<double> keeps(static_cast<std::size_t>(chunks * lanes)), owns(static_cast<std::size_t>(chunks * lanes));
  double *keep = keeps.data(), *own = owns.data();
  const dim3 grid(along, static_cast<unsigned>(chunks));
  void* summary[] = {c.argument(), &keep, &own};
  launch(compiled(source, "summarise"), grid, threads, summary);
  void* carried[] = {c.argument(), &chunks, &keep, &own};
  launch(compiled(source, "carry"), along, threads, carried);
  void* last[] = {c.argument(), &own};
  launch(compiled(source, "finish"), grid, threads, last);
}

}  // namespace alphaform::cuda

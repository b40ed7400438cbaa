#include <alphaform/backends/cuda/programs/call.hpp>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

namespace alphaform::cuda {

call::call(const extents& size, const std::vector<view<float>>& operands, bool tokens_apart) {
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
  for (const view<float>& v : operands) formats_.push_back(v.format);
  for (std::size_t k = 0; k < count; ++k) {
    static_assert(sizeof(float*) == sizeof(std::int64_t));
    std::memcpy(&numbers_[place(k)], &operands[k].data, sizeof(float*));
    if (tokens_apart) step(k, call_axes - 1) = static_cast<std::int64_t>(operands[k].step(axis::token));
  }
  in_fours_ = length(0) % 4 == 0;
  for (std::size_t k = 0; k < count; ++k) {
    const bool repeats = step(k, 0) == 0 && k + 1 < count;
    in_fours_ = in_fours_ && (repeats || has_fours(k));
  }
}

bool call::lies_on(std::size_t k, std::int64_t numbers, std::size_t first_axis) const {
  const auto size = static_cast<std::int64_t>(size_of<float>(formats_[k]));
  bool lies = numbers_[place(k)] % (numbers * size) == 0;
  for (std::size_t a = first_axis; a < call_axes; ++a) lies = lies && step(k, a) % numbers == 0;
  return lies;
}

std::vector<std::int64_t> call::and_formats(std::vector<std::int64_t> how) const {
  for (const number_format f : formats_) how.push_back(static_cast<std::int64_t>(f));
  return how;
}

std::vector<view<float>> all_of(std::span<const in> operands) {
  std::vector<view<float>> all;
  for (const in& v : operands) all.push_back({const_cast<float*>(v.data), v.size, v.stride, v.format});
  return all;
}

cudaKernel_t kernel_of(const pointwise& p, const char* name, const std::vector<std::int64_t>& how,
                       const std::function<std::string()>& source) {
  if (is_rehearsing()) return nullptr;
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

}  // namespace alphaform::cuda

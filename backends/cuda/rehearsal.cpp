#include <algorithm>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <alphaform/error.hpp>
#include <cstdint>
#include <unordered_map>

namespace alphaform::cuda {

namespace {

/// What a rehearsal has allocated. Blocks begin at multiples of `unit`, as those of the pool do.
class ledger final {
  static constexpr std::size_t unit = 512;

 public:
  float* take(std::size_t bytes) {
    auto* const p = reinterpret_cast<float*>(next_);
    next_ += (bytes + unit - 1) / unit * unit;
    held_.emplace(p, bytes);
    now_ += bytes;
    peak_ = std::max(peak_, now_);
    return p;
  }
  void release(float* p) {
    const auto at = held_.find(p);
    if (at == held_.end()) throw internal_error("a rehearsal released what it had not allocated");
    now_ -= at->second;
    held_.erase(at);
  }
  std::size_t peak() const { return peak_; }

 private:
  std::unordered_map<float*, std::size_t> held_;
  std::size_t now_ = 0, peak_ = 0;
  std::uintptr_t next_ = std::uintptr_t{1} << 60;  // where no memory is
};

thread_local ledger* current = nullptr;

}  // namespace

bool is_rehearsing() { return current != nullptr; }

std::size_t rehearse(const std::function<void()>& work) {
  if (is_rehearsing()) throw internal_error("a rehearsal within a rehearsal");
  struct open final {
    ledger of;
    open() { current = &of; }
    open(const open&) = delete;
    open& operator=(const open&) = delete;
    ~open() { current = nullptr; }
  } rehearsal;
  work();
  return rehearsal.of.peak();
}

float* take_rehearsed(std::size_t bytes) { return current->take(bytes); }
void release_rehearsed(float* p) { current->release(p); }

}  // namespace alphaform::cuda

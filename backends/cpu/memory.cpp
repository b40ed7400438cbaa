// Large streams are on large pages, without which the system's work for each 4 KiB of fresh memory takes longer than a
// kernel's. Even so it fills fresh memory with zeros, which takes longer than many a query: what is released is kept
// for the next stream of its size, never more than was in use at once before, and the system may take it back at any
// time.
#include <fmt/core.h>

#include <algorithm>
#include <alphaform/backends/cpu/memory.hpp>
#include <alphaform/error.hpp>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

namespace alphaform::cpu {
namespace {

constexpr std::size_t line = 64, large_page = std::size_t{2} << 20;

out_of_memory no_room(std::size_t numbers) {
  return out_of_memory(fmt::format("this machine has no room for {:.0f} MiB more",
                                   static_cast<double>(numbers) * sizeof(float) / (1 << 20)));
}

/// Large blocks in use, and those that wait.
class large_blocks final {
 public:
  /// Null if there is no room.
  void* take(std::size_t bytes) {
    const std::lock_guard lock(guard_);
    const auto fits = std::find_if(kept_.begin(), kept_.end(), [bytes](const block& b) { return b.bytes == bytes; });
    void* p = nullptr;
    if (fits != kept_.end()) {
      p = fits->start;
      kept_.erase(fits);
      kept_bytes_ -= bytes;
    } else {
      while (!kept_.empty() && used_bytes_ + kept_bytes_ + bytes > most_used_) drop_oldest();
      while ((p = std::aligned_alloc(large_page, bytes)) == nullptr) {
        if (kept_.empty()) return nullptr;
        drop_oldest();
      }
#if defined(MADV_HUGEPAGE)
      madvise(p, bytes, MADV_HUGEPAGE);  // only a wish
#endif
    }
    used_[p] = bytes;
    used_bytes_ += bytes;
    most_used_ = std::max(most_used_, used_bytes_);
    return p;
  }
  /// False for what is no large block.
  bool put(void* p) {
    const std::lock_guard lock(guard_);
    const auto found = used_.find(p);
    if (found == used_.end()) return false;
    const std::size_t bytes = found->second;
#if defined(MADV_FREE)
    madvise(p, bytes, MADV_FREE);
#endif
    kept_.push_back({p, bytes});
    kept_bytes_ += bytes;
    used_bytes_ -= bytes;
    used_.erase(found);
    return true;
  }

 private:
  struct block final {
    void* start;
    std::size_t bytes;
  };
  void drop_oldest() {
    kept_bytes_ -= kept_.front().bytes;
    std::free(kept_.front().start);
    kept_.erase(kept_.begin());
  }

  std::mutex guard_;
  std::map<void*, std::size_t> used_;
  std::vector<block> kept_;
  std::size_t used_bytes_ = 0, kept_bytes_ = 0, most_used_ = 0;
};

/// Streams may outlive every other static object.
large_blocks& all_large_blocks() {
  static large_blocks* const all = new large_blocks;
  return *all;
}

}  // namespace

float* allocate(std::size_t count) {
  const std::size_t bytes = count * sizeof(float), unit = bytes >= 2 * large_page ? large_page : line,
                    rounded = std::max(unit, (bytes + unit - 1) / unit * unit);
  if (rounded < bytes || bytes / sizeof(float) != count) throw no_room(count);
  void* const p = unit == line ? std::aligned_alloc(line, rounded) : all_large_blocks().take(rounded);
  if (p == nullptr) throw no_room(count);
  return static_cast<float*>(p);
}

void release(float* p) {
  const bool on_large_page = reinterpret_cast<std::uintptr_t>(p) % large_page == 0;  // others need no look
  if (!on_large_page || !all_large_blocks().put(p)) std::free(p);
}

working_memory allocate_working(std::size_t count) {
  working_memory numbers = hwy::AllocateAligned<float>(count);
  if (numbers == nullptr) throw no_room(count);
  return numbers;
}

}  // namespace alphaform::cpu

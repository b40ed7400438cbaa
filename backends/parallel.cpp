#include <algorithm>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/error.hpp>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace alphaform {

namespace {

thread_local bool within_task = false;

/// One round of tasks; threads take the next number until there is none.
struct round final {
  std::size_t count;
  const std::function<void(std::size_t)>& task;
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure{};
  std::mutex guard{};

  void work() {
    within_task = true;
    for (std::size_t i; (i = next++) < count;) {
      try {
        task(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
    within_task = false;
  }
};

class pool final {
 public:
  pool() { resize(std::max(1u, std::thread::hardware_concurrency())); }
  ~pool() { stop(); }
  std::size_t size() const { return workers_.size() + 1; }

  void resize(std::size_t threads) {
    stop();
    stopping_ = false;
    for (std::size_t k = 1; k < threads; ++k) workers_.emplace_back([this] { wait_for_work(); });
  }

  void run(round& r) {
    const std::lock_guard one_at_a_time(callers_);
    {
      const std::lock_guard lock(guard_);
      now_ = &r;
      ++number_;
    }
    wake_.notify_all();
    r.work();
    std::unique_lock lock(guard_);
    now_ = nullptr;  // who has not begun by now comes too late
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void wait_for_work() {
    std::unique_lock lock(guard_);
    for (std::size_t seen = number_;;) {
      wake_.wait(lock, [&] { return stopping_ || number_ != seen; });
      if (stopping_) return;
      seen = number_;
      round* const r = now_;
      if (r == nullptr) continue;
      ++busy_;
      lock.unlock();
      r->work();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }
  void stop() {
    {
      const std::lock_guard lock(guard_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
    workers_.clear();
  }

  std::vector<std::thread> workers_;
  std::mutex guard_, callers_;
  std::condition_variable wake_, done_;
  round* now_ = nullptr;
  std::size_t number_ = 0, busy_ = 0;
  bool stopping_ = false;
};

pool& the_pool() {
  static pool p;
  return p;
}

}  // namespace

std::size_t threads() { return the_pool().size(); }

void use_threads(std::size_t n) {
  if (n == 0) throw user_error("work needs at least one thread, but 0 were asked for");
  if (n != threads()) the_pool().resize(n);
}

void parallel(std::size_t count, const std::function<void(std::size_t)>& task) {
  if (within_task || count <= 1 || threads() == 1) {
    for (std::size_t i = 0; i < count; ++i) task(i);
    return;
  }
  round r{count, task};
  the_pool().run(r);
  if (r.failure) std::rethrow_exception(r.failure);
}

}  // namespace alphaform

// Work that is asked for again and again on numbers that stay at the same place: where a backend has a queue, what goes
// into it is recorded once, and then started as a whole, without the time that it takes this processor to find out.
#pragma once
#include <alphaform/backends/kernels.hpp>
#include <functional>
#include <utility>

namespace alphaform {

template <class T>
class recorded final {
 public:
  /// @param work  runs once to find what it needs only the first time, and once to be recorded. It must not wait for
  /// results, and keeps what it writes to.
  recorded(const kernels<T>& k, std::function<void()> work) : kernels_(k), work_(std::move(work)) {
    work_();
    if (k.record != nullptr) record_ = k.record(work_);
  }
  /// Does the work, or has it done: results are there once something waits for them.
  void replay() const { record_ ? kernels_.replay(record_.get()) : work_(); }

 private:
  const kernels<T>& kernels_;
  std::function<void()> work_;
  std::shared_ptr<void> record_;
};

}  // namespace alphaform

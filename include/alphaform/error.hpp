// Classes of error, by who is at fault. A message is one sentence or two: what was asked, what was found, what to
// do.
#pragma once
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace alphaform {

/// What the caller asked for cannot be done: a wrong declaration, option, file or shape. The command exits with
/// status 2.
struct user_error final : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The environment failed: a file cannot be written, a device is lost. The command exits with status 2.
struct runtime_error final : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Memory is exhausted, this machine's or a device's. What takes less may be tried; the command exits with status 2.
class out_of_memory final : public std::bad_alloc {
 public:
  explicit out_of_memory(std::string sentence) : sentence_(std::move(sentence)) {}
  const char* what() const noexcept override { return sentence_.c_str(); }

 private:
  std::string sentence_;
};

/// A defect of alphaform itself. The command asks for a report and exits with status 3.
struct internal_error final : std::logic_error {
  using std::logic_error::logic_error;
};

}  // namespace alphaform

// A file mapped read-only into memory: open, check, map; munmap is the deleter of the shared pointer.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <alphaform/architectures/checkpoint/mapped_file.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/error.hpp>
#include <cerrno>
#include <system_error>

namespace alphaform {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

struct descriptor {
  int number;
  explicit descriptor(int n) : number(n) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { ::close(number); }
};

}  // namespace

mapped_file mapped_file::open(const std::filesystem::path& path) {
  const int number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (number < 0) throw user_error(fmt::format("cannot read {}: {}; check the path", quote_path(path), reason(errno)));
  const descriptor file(number);
  struct stat status {};
  if (::fstat(file.number, &status) != 0) {
    throw runtime_error(fmt::format("cannot read {}: {}", quote_path(path), reason(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    throw user_error(
        fmt::format("cannot read {}: it is not a regular file; give the path of a file", quote_path(path)));
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {nullptr, 0};
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (start == MAP_FAILED) {
    throw runtime_error(
        fmt::format("cannot map the {} bytes of {} into memory: {}", size, quote_path(path), reason(errno)));
  }
  const auto unmap = [size](const std::byte* first) { ::munmap(const_cast<std::byte*>(first), size); };
  return {std::shared_ptr<const std::byte>(static_cast<const std::byte*>(start), unmap), size};
}

}  // namespace alphaform

#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <alphaform/error.hpp>
#include <cstdint>
#include <limits>

namespace alphaform::cuda {

namespace {

/// The first card, with its queue; its pool keeps what is given back.
struct card final {
  cudaStream_t queue = nullptr;
  card() {
    if (const auto missing = why_not()) throw user_error(*missing);
    check(cudaSetDevice(0), "use the first CUDA device");
    check(cudaStreamCreateWithFlags(&queue, cudaStreamNonBlocking), "make a queue");
    cudaMemPool_t pool = nullptr;
    check(cudaDeviceGetDefaultMemPool(&pool, 0), "find the memory pool");
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "keep memory in the pool");
  }
};

int attribute(cudaDeviceAttr asked) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, asked, 0), "tell what it is");
  return value;
}

bool is_recording() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(queue(), &status) != cudaSuccess || status != cudaStreamCaptureStatusNone;
}

cudaMemPool_t pool() {
  cudaMemPool_t p = nullptr;
  check(cudaDeviceGetDefaultMemPool(&p, 0), "find the memory pool");
  return p;
}
/// What the pool keeps for later, once all work is done.
void give_pool_back() {
  check(cudaStreamSynchronize(queue()), "finish its work");
  check(cudaMemPoolTrimTo(pool(), 0), "give memory back");
}
std::size_t of_the_pool(cudaMemPoolAttr asked) {
  std::uint64_t bytes = 0;
  check(cudaMemPoolGetAttribute(pool(), asked, &bytes), "tell what its pool has given out");
  return bytes;
}

out_of_memory no_room(std::size_t bytes) {
  constexpr auto mebi = [](std::size_t n) { return static_cast<double>(n) / (1 << 20); };
  std::size_t free = 0, all = 0;
  check(cudaMemGetInfo(&free, &all), "tell how much memory it has");
  return out_of_memory(fmt::format("the CUDA device has no room for {:.0f} MiB more: {:.0f} of its {:.0f} MiB are free",
                                   mebi(bytes), mebi(free), mebi(all)));
}

}  // namespace

std::optional<std::string> why_not() {
  int count = 0;
  const cudaError_t found = cudaGetDeviceCount(&count);
  if (found == cudaSuccess && count > 0) return std::nullopt;
  return fmt::format("no CUDA device can be used: {}",
                     found == cudaSuccess ? "the driver knows none" : cudaGetErrorString(found));
}

void check(cudaError_t e, const char* asked) {
  if (e == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky is reported once
  throw runtime_error(fmt::format("the CUDA device could not {}: {}", asked, cudaGetErrorString(e)));
}

cudaStream_t queue() {
  static const card first;
  return first.queue;
}

int processors() {
  static const int count = attribute(cudaDevAttrMultiProcessorCount);
  return count;
}

std::size_t shared_memory() {
  static const int bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return static_cast<std::size_t>(bytes);
}

float* allocate(std::size_t count) {
  if (count == 0) return nullptr;
  if (is_rehearsing()) return take_rehearsed(count * sizeof(float));
  void* p = nullptr;
  cudaError_t e = cudaMallocAsync(&p, count * sizeof(float), queue());
  if (e == cudaErrorMemoryAllocation && !is_recording()) {
    cudaGetLastError();
    give_pool_back();
    e = cudaMallocAsync(&p, count * sizeof(float), queue());
    if (e == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw no_room(count * sizeof(float));
    }
  }
  check(e, "give memory");
  return static_cast<float*>(p);
}

void release(float* p) {
  if (p == nullptr) return;
  if (is_rehearsing()) return release_rehearsed(p);
  cudaFreeAsync(p, queue());
}

std::size_t most_in_use() {
  static std::size_t before = 0;
  const std::size_t most = of_the_pool(cudaMemPoolAttrUsedMemHigh) - before;
  std::uint64_t none = 0;
  check(cudaMemPoolSetAttribute(pool(), cudaMemPoolAttrUsedMemHigh, &none), "count its memory anew");
  before = of_the_pool(cudaMemPoolAttrUsedMemCurrent);
  return most;
}

void clear(void* at, std::size_t bytes) {
  if (is_rehearsing()) return;
  check(cudaMemsetAsync(at, 0, bytes, queue()), "clear memory");
}

void upload(const float* from_host, std::size_t count, float* to) {
  if (is_rehearsing()) return;
  if (is_recording())
    throw user_error("numbers of this processor would be gone when what is recorded is replayed: store them before");
  check(cudaMemcpyAsync(to, from_host, count * sizeof(float), cudaMemcpyHostToDevice, queue()), "take numbers");
}

void download(const float* from, std::size_t count, float* to_host) {
  if (is_rehearsing()) return std::fill_n(to_host, count, 0.0f), void();
  check(cudaMemcpyAsync(to_host, from, count * sizeof(float), cudaMemcpyDeviceToHost, queue()), "give numbers back");
  check(cudaStreamSynchronize(queue()), "finish its work");
}

}  // namespace alphaform::cuda

// The card: one queue for all work, one pool of memory whose blocks are handed out and taken back in the queue's order.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <optional>
#include <string>

namespace alphaform::cuda {

/// Why no card can be used: a sentence; nothing if one can.
std::optional<std::string> why_not();

/// @throws runtime_error with what was asked and the driver's reason
void check(cudaError_t, const char* asked);

/// Where everything runs, in order. The first call looks for a card. @throws user_error if there is none
cudaStream_t queue();
int processors();             ///< of the card
std::size_t shared_memory();  ///< bytes that the threads of a block can have

float* allocate(std::size_t count);  ///< uninitialised; @throws out_of_memory with the sizes if there is no room
void release(float*);
/// Bytes of the pool that were in use at most since the last call, beyond those that were then.
std::size_t most_in_use();
void clear(void* at, std::size_t bytes);  ///< to 0
void upload(const float* from_host, std::size_t count, float* to);
void download(const float* from, std::size_t count, float* to_host);  ///< waits for the queue

/// Numbers that the functions of one call need for themselves.
template <class T>
class scratch final {
 public:
  explicit scratch(std::size_t count) : data_(allocate((count * sizeof(T) + sizeof(float) - 1) / sizeof(float))) {}
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() { release(data_); }
  T* data() const { return reinterpret_cast<T*>(data_); }

 private:
  float* data_;
};

}  // namespace alphaform::cuda

// Storage of streams.
#pragma once
#include <cstddef>

namespace alphaform::cpu {

/// Uninitialised numbers; they begin with a cache line, as vectors want them. @throws std::bad_alloc
float* allocate(std::size_t count);
void release(float*);

}  // namespace alphaform::cpu

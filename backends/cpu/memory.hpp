// Storage of streams, and what kernels work in.
#pragma once
#include <hwy/aligned_allocator.h>

#include <cstddef>

namespace alphaform::cpu {

/// Uninitialised numbers; they begin with a cache line, as vectors want them. @throws out_of_memory with the size
float* allocate(std::size_t count);
void release(float*);

/// Uninitialised numbers that begin with a vector.
using working_memory = hwy::AlignedFreeUniquePtr<float[]>;
working_memory allocate_working(std::size_t count);  ///< @throws out_of_memory with the size

}  // namespace alphaform::cpu

// The memory that the threads of a block share and whose size is chosen at the launch.
#pragma once

namespace alphaform::cuda {

template <class T>
__device__ inline T* shared_memory() {
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

}  // namespace alphaform::cuda

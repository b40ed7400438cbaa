// CUDA C++ compiled for the card while the program runs, each text once.
#pragma once
#include <cuda_runtime_api.h>

#include <string>
#include <string_view>

namespace alphaform::cuda {

/// The kernel `name` of a source. @throws internal_error with the compiler's words where it is refused
cudaKernel_t compiled(const std::string& source, const char* name);
/// Starts it on the queue. @param arguments  the address of each
void launch(cudaKernel_t, dim3 blocks, dim3 threads, void** arguments);

}  // namespace alphaform::cuda

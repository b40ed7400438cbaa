// CUDA C++ compiled for the card while the program runs.
#pragma once
#include <cuda_runtime_api.h>

#include <string>
#include <string_view>

namespace alphaform::cuda {

/// Of a source for a target as NVRTC names it, such as sm_90; kept from one run to the next (kept_files.hpp).
/// @throws internal_error with the compiler's words where it is refused
std::string machine_code(const std::string& source, const std::string& target);
/// The kernel `name` of a source, which stays loaded, for the card at hand. @throws as machine_code does
cudaKernel_t compiled(const std::string& source, const char* name);
/// Starts it on the queue. @param shared  bytes that the threads of a block share @param arguments  the address of each
void launch(cudaKernel_t, unsigned blocks, unsigned threads, std::size_t shared, void** arguments);

}  // namespace alphaform::cuda

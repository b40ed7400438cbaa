#include <fmt/format.h>
#include <nvrtc.h>

#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/programs/compile.hpp>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <alphaform/backends/kept_files.hpp>
#include <alphaform/error.hpp>
#include <array>
#include <span>

namespace alphaform::cuda {

namespace {

std::string target_of_the_card() {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "tell what it is");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "tell what it is");
  return fmt::format("sm_{}{}", major, minor);
}

void needs(nvrtcResult r, const char* asked) {
  if (r != NVRTC_SUCCESS)
    throw runtime_error(fmt::format("the run-time compiler for CUDA could not {}: {}", asked, nvrtcGetErrorString(r)));
}

struct program final {
  nvrtcProgram p = nullptr;
  explicit program(const std::string& source) {
    needs(nvrtcCreateProgram(&p, source.c_str(), "program.cu", 0, nullptr, nullptr), "take a program");
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() { nvrtcDestroyProgram(&p); }
};

std::string made(const std::string& source, std::span<const char* const> options) {
  const program p(source);
  if (nvrtcCompileProgram(p.p, static_cast<int>(options.size()), options.data()) != NVRTC_SUCCESS) {
    std::size_t size = 0;
    needs(nvrtcGetProgramLogSize(p.p, &size), "say what is wrong");
    std::string log(size, '\0');
    needs(nvrtcGetProgramLog(p.p, log.data()), "say what is wrong");
    throw internal_error(fmt::format("a translated program does not compile: {}\n{}", log, source));
  }
  std::size_t size = 0;
  needs(nvrtcGetCUBINSize(p.p, &size), "give machine code");
  std::string code(size, '\0');
  needs(nvrtcGetCUBIN(p.p, code.data()), "give machine code");
  return code;
}

}  // namespace

std::string machine_code(const std::string& source, const std::string& target) {
  // A program says itself where a product and a sum are one operation: some of them ask what a product has lost.
  const std::string architecture = "--gpu-architecture=" + target;
  const std::array options{architecture.c_str(), "--std=c++17", "--fmad=false", "--ftz=true",
                           "--device-as-default-execution-space"};
  const std::optional<std::filesystem::path> folder = cache_folder();
  if (!folder) return made(source, options);
  int major = 0, minor = 0;
  needs(nvrtcVersion(&major, &minor), "tell its version");
  const std::string from = fmt::format("NVRTC {}.{} {}\n{}", major, minor, fmt::join(options, " "), source);
  if (std::optional<std::string> code = kept(*folder, from)) return *std::move(code);
  const std::string code = made(source, options);
  keep(*folder, from, code);
  return code;
}

cudaKernel_t compiled(const std::string& source, const char* name) {
  queue();  // there must be a card
  static const std::string target = target_of_the_card();
  const std::string code = machine_code(source, target);
  cudaLibrary_t library = nullptr;
  check(cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0), "load a program");
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library, name), "find a kernel");
  return kernel;
}

void launch(cudaKernel_t kernel, unsigned blocks, unsigned threads, std::size_t shared, void** arguments) {
  if (is_rehearsing()) return;
  constexpr std::size_t usual = 48 << 10;
  const void* const function = reinterpret_cast<const void*>(kernel);
  if (shared > usual)
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
          "give a block so much memory");
  cudaLaunchConfig_t how{};
  how.gridDim = dim3(blocks);
  how.blockDim = dim3(threads);
  how.dynamicSmemBytes = shared;
  how.stream = queue();
  check(cudaLaunchKernelExC(&how, function, arguments), "start a program");
}

}  // namespace alphaform::cuda

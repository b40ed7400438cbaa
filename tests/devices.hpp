// Tests that run once on the CPU and once on a CUDA device: ON_EVERY_DEVICE("name") { USE_DEVICE(); ... }. Where there
// is no such device the second is reported as skipped.
#pragma once
#include <doctest/doctest.h>

#include <cstdio>

#include "staged_kernels.hpp"

namespace alphaform::test {

struct cpu_device final {
  static bool exists() { return true; }
  static const kernels<float>& all() { return cpu_kernels(); }
  /// As they can be called on this processor's memory.
  static const kernels<float>& staged() { return cpu_kernels(); }
};
struct cuda_device final {
  static bool exists() {
    const auto missing = why_no_cuda();
    if (missing) std::printf("skipped: no CUDA device (%s)\n", missing->c_str());
    return !missing;
  }
  static const kernels<float>& all() { return cuda_kernels(); }
  static const kernels<float>& staged() { return staged_table::of(cuda_kernels()); }
};

/// The kernels under test, and the same as they can be called on this processor's memory.
inline const kernels<float>* tested_device = &cpu_kernels();
inline const kernels<float>* tested = &cpu_kernels();
inline bool tests_cpu() { return tested == &cpu_kernels(); }

}  // namespace alphaform::test

TYPE_TO_STRING_AS("cpu", alphaform::test::cpu_device);
TYPE_TO_STRING_AS("cuda", alphaform::test::cuda_device);

#define ON_EVERY_DEVICE(name) \
  TEST_CASE_TEMPLATE(name, Device, alphaform::test::cpu_device, alphaform::test::cuda_device)
/// Ends the test where there is no such device.
#define USE_DEVICE()                           \
  if (!Device::exists()) return;               \
  alphaform::test::tested = &Device::staged(); \
  alphaform::test::tested_device = &Device::all()

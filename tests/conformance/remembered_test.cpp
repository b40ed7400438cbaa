// Streams that several others need are evaluated once a query where windows have no limit, as on a device.
#include <alphaform/backends/engine/engine.hpp>

#include "random_mixer.hpp"

namespace alphaform {
namespace {

std::size_t filters = 0;

/// How often the short filter of Mamba's value path runs while y is found, by kernels that have their own memory; it
/// is that of the CPU.
std::size_t filters_of_output(std::size_t window_entries) {
  kernels<float> k = cpu_kernels();
  k.has_own_memory = true;
  k.fir = [](view<const float> taps, view<const float> x, view<float> y) {
    ++filters;
    cpu_kernels().fir(taps, x, y);
  };
  const test::random_mixer m(find_architecture("mamba"), {40, 1, 16, 4, 3, 4}, 3);
  const environment<float> env = m.bound(k);
  engine<float> e(m.formula().g, env, k);
  e.use_windows_of(window_entries);
  filters = 0;
  e.value(m.formula().output);
  return filters;
}

TEST_CASE("the filtered values of Mamba are there for its steps, writes and reads at once") {
  CHECK(filters_of_output(static_cast<std::size_t>(-1)) == 1);
  CHECK(filters_of_output(40 * 16) > 1);
}

}  // namespace
}  // namespace alphaform

// Stands for the benchmarks where Google Benchmark was not found.
#include <alphaform/benchmarks/benchmarks.hpp>
#include <alphaform/error.hpp>

namespace alphaform::benchmarks {

namespace {

[[noreturn]] void refuse() {
  throw user_error(
      "alphaform was built without Google Benchmark; install it (Debian and Ubuntu: libbenchmark-dev), then run cmake "
      "and build again");
}

}  // namespace

std::vector<case_name> chosen_cases(const request&) { refuse(); }
std::vector<growth_point> growth_points() { refuse(); }
std::vector<measurement> measure(const request&, const std::function<void(const measurement&)>&) { refuse(); }

}  // namespace alphaform::benchmarks

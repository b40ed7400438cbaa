#include <dlfcn.h>

#include <Eigen/Core>
#include <alphaform/backends/cpu/simd/functions.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/benchmarks/ceilings.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace alphaform::benchmarks {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The shortest of several runs within the time, at least three.
template <class F>
double shortest(double within, F run) {
  double best = 1e30, all = 0;
  for (int k = 0; k < 3 || all < within; ++k) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const double t = seconds_since(start);
    best = std::min(best, t);
    all += t;
  }
  return best;
}

double copy_rate(bool quick) {
  const std::size_t numbers = (quick ? 1 : 64) * std::size_t{1} << 20, part = numbers / threads();
  const auto from = std::make_unique_for_overwrite<float[]>(numbers),
             to = std::make_unique_for_overwrite<float[]>(numbers);
  parallel(threads(), [&](std::size_t t) { std::fill_n(from.get() + t * part, part, 1.0f); });
  const double time = shortest(quick ? 0.005 : 0.1, [&] {
    parallel(threads(),
             [&](std::size_t t) { std::memcpy(to.get() + t * part, from.get() + t * part, part * sizeof(float)); });
  });
  return 2.0 * static_cast<double>(part * threads() * sizeof(float)) / time;
}

double exponential_rate(bool quick) {
  constexpr std::size_t numbers = 2048;  // 16 KiB with the results
  const std::size_t rounds = quick ? 64 : 4096;
  const auto exponentials = cpu::function_on_strips(function_code<functions::exp>);
  const double time = shortest(quick ? 0.002 : 0.05, [&] {
    parallel(threads(), [&](std::size_t) {
      std::vector<float> x(numbers), y(numbers);
      for (std::size_t i = 0; i < numbers; ++i) x[i] = -10.0f * static_cast<float>(i) / static_cast<float>(numbers);
      for (std::size_t r = 0; r < rounds; ++r) exponentials(x.data(), y.data(), numbers);
    });
  });
  return static_cast<double>(numbers * rounds * threads()) / time;
}

/// sgemm of OpenBLAS, if that library is installed.
class openblas final {
 public:
  openblas() {
    // Of a processor that is newer than itself OpenBLAS assumes the oldest instructions, a tenth of the rate.
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
      setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      setenv("OPENBLAS_CORETYPE", "Haswell", 0);
#endif
    void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    // POSIX makes these conversions of a symbol's address valid.
    sgemm_ = reinterpret_cast<sgemm>(dlsym(library, "cblas_sgemm"));
    set_threads_ = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  }
  bool is_there() const { return sgemm_ != nullptr && set_threads_ != nullptr; }
  void multiply(const product_size& s, const float* a, const float* b, float* y) const {
    constexpr int row_major = 101, as_it_is = 111;
    const auto of = [](std::size_t n) { return static_cast<int>(n); };
    set_threads_(of(threads()));
    sgemm_(row_major, as_it_is, as_it_is, of(s.m), of(s.n), of(s.k), 1, a, of(s.k), b, of(s.n), 1, y, of(s.n));
  }

 private:
  using sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
  sgemm sgemm_ = nullptr;
  void (*set_threads_)(int) = nullptr;
};

void multiply_by_eigen(const product_size& s, const float* a, const float* b, float* y) {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto of = [](std::size_t n) { return static_cast<Eigen::Index>(n); };
  const Eigen::Map<const matrix> whole_a(a, of(s.m), of(s.k)), whole_b(b, of(s.k), of(s.n));
  Eigen::Map<matrix> whole_y(y, of(s.m), of(s.n));
  const std::size_t part = (s.m + threads() - 1) / threads();
  parallel(threads(), [&](std::size_t t) {
    const std::size_t begin = std::min(s.m, t * part), rows = std::min(s.m, begin + part) - begin;
    whole_y.middleRows(of(begin), of(rows)).noalias() += whole_a.middleRows(of(begin), of(rows)) * whole_b;
  });
}

double product_rate(const product_size& s, bool quick) {
  static const openblas blas;
  const std::vector<float> a(s.m * s.k, 0.5f), b(s.k * s.n, 0.5f);
  std::vector<float> y(s.m * s.n);
  const double within = quick ? 0.002 : 0.1;
  double time = shortest(within, [&] { multiply_by_eigen(s, a.data(), b.data(), y.data()); });
  if (blas.is_there()) time = std::min(time, shortest(within, [&] { blas.multiply(s, a.data(), b.data(), y.data()); }));
  return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) / time;
}

}  // namespace

rates ceilings_for(const needs& n, bool quick) {
  rates r;
  if (n.bytes > 0) r.bytes = copy_rate(quick);
  if (n.exponentials > 0) r.exponentials = exponential_rate(quick);
  if (n.flops > 0) r.flops = product_rate(n.products, quick);
  return r;
}

}  // namespace alphaform::benchmarks

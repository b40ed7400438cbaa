// By cuBLAS, on tensor cores where that takes less time.
#include <cublas_v2.h>

#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/parts.hpp>
#include <alphaform/backends/cuda/products.hpp>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <alphaform/error.hpp>
#include <string>

namespace alphaform::cuda {
namespace {

void check(cublasStatus_t status, const char* asked) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw runtime_error(std::string("[cuda] cuBLAS was asked to ") + asked +
                      " and answered: " + cublasGetStatusString(status) + ".");
}

cublasHandle_t handle() {
  static const cublasHandle_t created = [] {
    cublasHandle_t h = nullptr;
    check(cublasCreate(&h), "begin");
    check(cublasSetStream(h, queue()), "work on the queue");
    return h;
  }();
  return created;
}

cublasOperation_t as_columns(bool they_are) { return they_are ? CUBLAS_OP_N : CUBLAS_OP_T; }

/// Seconds that are saved by other numbers on an H100: of each product and sum, of each number that is made anew, and
/// what three more launches cost.
struct saving final {
  double of_flop, of_number;
  bool pays(const product& p) const {
    constexpr double launches = 1e-5;
    const double deep = static_cast<double>(p.b.rows), rows = static_cast<double>(p.c.rows),
                 columns = static_cast<double>(p.c.columns);
    return p.count == 1 && rows * columns * deep * of_flop > (rows + columns) * deep * of_number + launches;
  }
};
constexpr saving of_tf32_parts{2.3e-14, 8e-12}, of_bfloat16{3.6e-14, 3e-12};

/// The factors of a product, and how many vectors of either are packed at a time.
struct factors final {
  vectors left, right;
  explicit factors(const product& p)
      : left{p.a.at, p.a.rows, p.a.columns, p.a.row_step, p.a.column_step},
        right{p.b.at, p.b.columns, p.b.rows, p.b.column_step, p.b.row_step} {}

  /// Calls f(left vectors, right vectors, address of their c, whether the left ones are new).
  template <class F>
  void each_block(const product& p, std::int64_t most, F f) const {
    for (std::int64_t i = 0; i < left.count; i += most)
      for (std::int64_t j = 0; j < right.count; j += most)
        f(left.part(i, most), right.part(j, most), const_cast<float*>(p.c.at) + i + j * p.c.leading(), j == 0);
  }
};

void multiply(const product& p, const vectors& left, const void* l, std::int64_t l_leading, const vectors& right,
              const void* r, std::int64_t r_leading, std::int64_t depth, cudaDataType numbers, cublasComputeType_t how,
              bool adds, float* c) {
  if (is_rehearsing()) return;
  const float one = 1, before = adds ? 1 : 0;
  check(cublasGemmEx_64(handle(), as_columns(!left.deep()), as_columns(right.deep()), left.count, right.count, depth,
                        &one, l, numbers, l_leading, r, numbers, r_leading, &before, c, CUDA_R_32F, p.c.leading(), how,
                        CUBLAS_GEMM_DEFAULT),
        "multiply matrices on tensor cores");
}

/// Each number in two parts. The cores cut off what they add: after so many products the sum is added by others. By
/// measurement the error is then 4 times that of float32 at most: 2e-6 of a typical entry.
void run_in_parts(const product& p) {
  constexpr std::int64_t most_depth = 768, most_numbers = std::int64_t{1} << 26;
  const factors f(p);
  const std::int64_t pieces = (f.left.depth + most_depth - 1) / most_depth,
                     piece = padded((f.left.depth + pieces - 1) / pieces), deep = 3 * piece * pieces,
                     most = std::max<std::int64_t>(256, most_numbers / deep / 256 * 256);
  const auto numbers = [&](const vectors& v) {
    return static_cast<std::size_t>(padded(std::min(v.count, most)) * deep);
  };
  const scratch<float> left(numbers(f.left)), right(numbers(f.right));
  f.each_block(p, most, [&](const vectors& l, const vectors& r, float* c, bool left_is_new) {
    if (left_is_new) in_tf32_parts(l, true, piece, pieces, left.data());
    in_tf32_parts(r, false, piece, pieces, right.data());
    for (std::int64_t k = 0; k < deep; k += 3 * piece) {
      const auto at = [k](const vectors& v, const float* data) { return data + k * (v.deep() ? 1 : padded(v.count)); };
      const auto leading = [deep](const vectors& v) { return v.deep() ? deep : padded(v.count); };
      multiply(p, l, at(l, left.data()), leading(l), r, at(r, right.data()), leading(r), 3 * piece, CUDA_R_32F,
               CUBLAS_COMPUTE_32F_FAST_TF32, k > 0, c);
    }
  });
}

void run_in_bfloat16(const product& p) {
  constexpr std::int64_t most_numbers = std::int64_t{1} << 27;
  const factors f(p);
  const std::int64_t depth = f.left.depth, most = std::max<std::int64_t>(256, most_numbers / padded(depth) / 256 * 256);
  const auto numbers = [&](const vectors& v) {
    return static_cast<std::size_t>(padded(std::min(v.count, most)) * padded(depth));
  };
  const scratch<__nv_bfloat16> left(numbers(f.left)), right(numbers(f.right));
  f.each_block(p, most, [&](const vectors& l, const vectors& r, float* c, bool left_is_new) {
    if (left_is_new) in_bfloat16(l, left.data());
    in_bfloat16(r, right.data());
    const auto leading = [depth](const vectors& v) { return padded(v.deep() ? depth : v.count); };
    multiply(p, l, left.data(), leading(l), r, right.data(), leading(r), depth, CUDA_R_16BF, CUBLAS_COMPUTE_32F, false,
             c);
  });
}

void run_as_they_are(const product& p, std::int64_t left_step, std::int64_t right_step) {
  if (is_rehearsing()) return;
  const float one = 1, zero = 0;
  check(cublasSgemmStridedBatched_64(handle(), as_columns(p.a.by_columns()), as_columns(p.b.by_columns()), p.c.rows,
                                     p.c.columns, p.a.columns, &one, p.a.at, p.a.leading(), left_step, p.b.at,
                                     p.b.leading(), right_step, &zero, const_cast<float*>(p.c.at), p.c.leading(),
                                     p.c_step, p.count),
        "multiply matrices");
}

}  // namespace

void product::run(product_precision precision) const {
  const bool turned = !c.by_columns();
  const product p = turned ? product{b.transposed(), a.transposed(), c.transposed(), count, b_step, c_step} : *this;
  if (precision == product_precision::bfloat16 && of_bfloat16.pays(p)) return run_in_bfloat16(p);
  if (precision == product_precision::float32 && of_tf32_parts.pays(p)) return run_in_parts(p);
  run_as_they_are(p, turned ? b_step : 0, turned ? 0 : b_step);
}

}  // namespace alphaform::cuda

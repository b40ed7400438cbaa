// Matrices along one axis of a stream by cuBLAS, in float32 throughout. Where the numbers do not lie as a matrix, or as
// several at equal steps, they are copied first.
#include <cublas_v2.h>

#include <algorithm>
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/layout.hpp>
#include <alphaform/error.hpp>
#include <optional>
#include <string>

namespace alphaform::cuda {
namespace {

void check(cublasStatus_t status, const char* asked) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw runtime_error(std::string("[cuda] cuBLAS was asked to ") + asked +
                      " and answered: " + cublasGetStatusString(status) + ".");
}

cublasHandle_t products() {
  static const cublasHandle_t handle = [] {
    cublasHandle_t h = nullptr;
    check(cublasCreate(&h), "begin");
    check(cublasSetStream(h, queue()), "work on the queue");
    return h;
  }();
  return handle;
}

/// Numbers by row and column, as a library takes them that has columns one after the other.
struct matrix final {
  const float* at;
  std::int64_t rows, columns, row_step, column_step;

  /// Steps along an axis of one entry count for nothing.
  bool follows(std::int64_t count, std::int64_t step) const { return count == 1 || step == 1; }
  bool by_columns() const { return follows(rows, row_step) && (columns == 1 || column_step >= rows); }
  bool by_rows() const { return follows(columns, column_step) && (rows == 1 || row_step >= columns); }
  bool takable() const { return by_columns() || by_rows(); }
  cublasOperation_t operation() const { return by_columns() ? CUBLAS_OP_N : CUBLAS_OP_T; }
  std::int64_t leading() const {
    const bool columns_follow = by_columns();
    const std::int64_t least = std::max<std::int64_t>(1, columns_follow ? rows : columns);
    return (columns_follow ? columns : rows) == 1 ? least : columns_follow ? column_step : row_step;
  }
  matrix transposed() const { return {at, columns, rows, column_step, row_step}; }
};

/// c = a b, `count` times, each so many numbers after the one before.
struct product final {
  matrix a, b, c;
  std::int64_t count, b_step, c_step;

  bool takable() const { return a.takable() && b.takable() && c.takable(); }
  void run() const {
    if (!c.by_columns())
      return product{b.transposed(), a.transposed(), c.transposed(), count, b_step, c_step}.run_as(b_step, 0);
    run_as(0, b_step);
  }

 private:
  void run_as(std::int64_t left_step, std::int64_t right_step) const {
    const float one = 1, zero = 0;
    check(cublasSgemmStridedBatched_64(products(), a.operation(), b.operation(), c.rows, c.columns, a.columns, &one,
                                       a.at, a.leading(), left_step, b.at, b.leading(), right_step, &zero,
                                       const_cast<float*>(c.at), c.leading(), c_step, count),
          "multiply matrices");
  }
};

/// What is asked for: y[.., o] = sum_i weight[o, i] x[.., i], i on the axis `over` of x and o on the axis `made` of y.
struct task final {
  matrix weight;
  axis over, made;
  in x;
  out y;

  /// The entries of x and y beside those axes.
  layout<2> passing() const {
    extents size = y.size;
    at(size, made) = 1;
    if (over != made) at(size, over) = y.of(over);
    in from = x;
    at(from.stride, over) = 0;
    at(from.stride, made) = 0;
    return layout_of(size, from, y);
  }
  /// As one product or several at equal steps, with axis `row` of the passing ones beside o and i.
  std::optional<product> with(const layout<2>& l, int row) const {
    const auto length = [&l](int a) { return a < l.axes ? std::int64_t{l.size[a]} : 1; };
    const auto step = [&l](int operand, int a) { return a < l.axes ? l.step[operand][a] : 0; };
    const int other = 1 - row;
    const auto o_step = static_cast<std::int64_t>(y.step(made)), i_step = static_cast<std::int64_t>(x.step(over));
    const product p{weight,
                    {x.data, weight.columns, length(row), i_step, step(0, row)},
                    {y.data, weight.rows, length(row), o_step, step(1, row)},
                    length(other),
                    step(0, other),
                    step(1, other)};
    if (l.axes > 2 || !p.takable()) return std::nullopt;
    return p;
  }
  std::optional<product> as_product() const {
    const layout<2> l = passing();
    const int longer = l.axes == 2 && l.size[1] > l.size[0] ? 1 : 0;
    const std::optional<product> p = with(l, longer);
    return p || l.axes < 2 ? p : with(l, 1 - longer);
  }
};

/// Numbers of its own, with `fastest` as the fastest axis.
template <class V>
V own(float* numbers, extents size, axis fastest) {
  const std::size_t length = at(size, fastest);
  at(size, fastest) = 1;
  V v{numbers, size, contiguous(size)};
  for (std::size_t& step : v.stride) step *= length;
  at(v.size, fastest) = length;
  at(v.stride, fastest) = length == 1 ? 0 : 1;
  return v;
}

void run(const task& t) {
  if (volume(t.y.size) == 0) return;
  if (const auto p = t.as_product()) return p->run();
  // Entries of x along `made` are not read if y has that axis for itself, nor of y along `over`.
  extents size = t.y.size;
  at(size, t.made) = 1;
  at(size, t.over) = t.x.of(t.over);
  const scratch<float> x_numbers(volume(size)), y_numbers(volume(t.y.size)),
      w_numbers(static_cast<std::size_t>(t.weight.rows * t.weight.columns));
  const out x = own<out>(x_numbers.data(), size, t.over), y = own<out>(y_numbers.data(), t.y.size, t.made);
  copy(t.x, x);
  task lying{t.weight, t.over, t.made, x, y};
  if (!t.weight.takable()) {
    in from;
    from.data = t.weight.at;
    at(from.size, axis::token) = static_cast<std::size_t>(t.weight.rows);
    at(from.size, axis::head) = static_cast<std::size_t>(t.weight.columns);
    at(from.stride, axis::token) = static_cast<std::size_t>(t.weight.row_step);
    at(from.stride, axis::head) = static_cast<std::size_t>(t.weight.column_step);
    copy(from, out{w_numbers.data(), from.size, contiguous(from.size)});
    lying.weight = {w_numbers.data(), t.weight.rows, t.weight.columns, t.weight.columns, 1};
  }
  const auto p = lying.as_product();
  if (!p) throw internal_error("[cuda] contiguous numbers do not lie as matrices.");
  p->run();
  copy(y, t.y);
}

matrix matrix_of(in w) {
  return {w.data, static_cast<std::int64_t>(w.of(axis::token)), static_cast<std::int64_t>(w.of(axis::head)),
          static_cast<std::int64_t>(w.step(axis::token)), static_cast<std::int64_t>(w.step(axis::head))};
}

}  // namespace

void linear(in weight, axis from, axis to, in x, out y) { run({matrix_of(weight), from, to, x, y}); }

void linear_adjoint(in weight, axis from, axis to, in g, out y) {
  run({matrix_of(weight).transposed(), to, from, g, y});
}

}  // namespace alphaform::cuda

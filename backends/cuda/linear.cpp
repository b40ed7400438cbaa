// Matrices along one axis of a stream, as products by cuBLAS. Where the numbers do not lie as a matrix, or as several
// at equal steps, they are copied first.
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/layout.hpp>
#include <alphaform/backends/cuda/products.hpp>
#include <alphaform/error.hpp>
#include <optional>

namespace alphaform::cuda {
namespace {

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

void run(const task& t, product_precision precision) {
  if (volume(t.y.size) == 0) return;
  if (const auto p = t.as_product()) return p->run(precision);
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
  p->run(precision);
  copy(y, t.y);
}

matrix matrix_of(in w) {
  return {w.data, static_cast<std::int64_t>(w.of(axis::token)), static_cast<std::int64_t>(w.of(axis::head)),
          static_cast<std::int64_t>(w.step(axis::token)), static_cast<std::int64_t>(w.step(axis::head))};
}

}  // namespace

template <product_precision P>
void linear(in weight, axis from, axis to, in x, out y) {
  run({matrix_of(weight), from, to, x, y}, P);
}
template <product_precision P>
void linear_adjoint(in weight, axis from, axis to, in g, out y) {
  run({matrix_of(weight).transposed(), to, from, g, y}, P);
}
template void linear<product_precision::float32>(in, axis, axis, in, out);
template void linear<product_precision::bfloat16>(in, axis, axis, in, out);
template void linear_adjoint<product_precision::float32>(in, axis, axis, in, out);
template void linear_adjoint<product_precision::bfloat16>(in, axis, axis, in, out);

}  // namespace alphaform::cuda

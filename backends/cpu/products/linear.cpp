#include <alphaform/backends/cpu/products/linear.hpp>
#include <alphaform/backends/cpu/products/products.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/backends/reference/definition.hpp>
#include <vector>

namespace alphaform::cpu {

namespace {

using in = view<const float>;
using out = view<float>;
constexpr axis time = axis::token;

/// Nothing but tokens and one contiguous axis.
template <class V>
bool is_matrix(const V& v, axis column) {
  for (const axis a : every_axis)
    if (a != time && a != column && v.of(a) != 1) return false;
  return v.of(column) == 1 || v.step(column) == 1;
}

/// Calls f(row, rows, column, columns) for tiles of the result.
template <class F>
void each_tile(std::size_t rows, std::size_t columns, F f) {
  constexpr std::size_t high = 256, wide = 512;
  const std::size_t across = (columns + wide - 1) / wide, down = (rows + high - 1) / high;
  parallel(across * down, [&](std::size_t i) {
    const std::size_t r = i / across * high, c = i % across * wide;
    f(r, std::min(high, rows - r), c, std::min(wide, columns - c));
  });
}

/// The one axis beside `column` along which there are entries, if these lie one after the other; time if not.
axis row_of(const out& y, axis column) {
  axis row = time;
  for (const axis a : every_axis) {
    if (a == column || y.of(a) == 1) continue;
    if (row != time || a == time || y.step(a) != 1) return time;
    row = a;
  }
  return row;
}

/// y[o, k] = sum_i W[o, i] x[i, k] for entries k of another axis, such as the taps of a filter that matrices make.
void linear_of_lines(in w, axis from, axis to, axis row, in x, out y) {
  const std::size_t inner = w.of(axis::head), length = y.of(row), y_row = std::max(y.step(to), length);
  std::vector<float> lines(inner * length);
  for (std::size_t i = 0; i < inner; ++i)
    for (std::size_t k = 0; k < length; ++k) lines[i * length + k] = x.data[i * x.step(from) + k * x.step(row)];
  each_tile(y.of(to), length, [&](std::size_t r, std::size_t rows, std::size_t c, std::size_t columns) {
    product_rows(rows, columns, inner, w.data + r * inner, inner, lines.data() + c, length, y.data + r * y_row + c,
                 y_row, false);
  });
}

}  // namespace

void linear(in w, axis from, axis to, in x, out y) {
  if (const axis row = row_of(y, to); row != time && row != from && volume(x.size) == x.of(from) * x.of(row))
    return linear_of_lines(w, from, to, row, x, y);
  if (x.of(time) != y.of(time) || !is_matrix(x, from) || !is_matrix(y, to))
    return reference::definition<float>::linear(w, from, to, x, y);
  const std::size_t inner = w.of(axis::head), x_row = std::max(x.step(time), inner),
                    y_row = std::max(y.step(time), y.of(to));
  each_tile(y.of(time), y.of(to), [&](std::size_t r, std::size_t rows, std::size_t c, std::size_t columns) {
    float* const tile = y.data + r * y_row + c;
    for (std::size_t k = 0; k < rows; ++k) std::fill_n(tile + k * y_row, columns, 0.0F);
    product(rows, columns, inner, x.data + r * x_row, x_row, w.data + c * inner, inner, tile, y_row);
  });
}

void linear_adjoint(in w, axis from, axis to, in g, out y) {
  if (g.of(time) != y.of(time) || !is_matrix(g, to) || !is_matrix(y, from))
    return reference::definition<float>::linear_adjoint(w, from, to, g, y);
  const std::size_t inner = w.of(time), w_row = w.of(axis::head), g_row = std::max(g.step(time), inner),
                    y_row = std::max(y.step(time), y.of(from));
  each_tile(y.of(time), y.of(from), [&](std::size_t r, std::size_t rows, std::size_t c, std::size_t columns) {
    product_rows(rows, columns, inner, g.data + r * g_row, g_row, w.data + c, w_row, y.data + r * y_row + c, y_row,
                 false);
  });
}

}  // namespace alphaform::cpu

// What is done entry by entry, whatever the others are: constants, sums, products, copies and orders of tokens.
#include <alphaform/backends/cuda/formats.cuh>
#include <alphaform/backends/cuda/launch.cuh>
#include <cstdlib>

namespace alphaform::cuda {
namespace {

constexpr axis time = axis::token;

struct constant final {
  float value;
  __device__ void operator()(float& y) const { y = value; }
};
struct same final {
  template <class X, class Y>
  __device__ void operator()(const X& x, Y& y) const {
    y = Y(static_cast<float>(x));
  }
};
struct product final {
  __device__ void operator()(const float& a, const float& b, float& y) const { y = a * b; }
};
struct sum final {
  __device__ void operator()(const float& a, const float& b, float& y) const { y = a + b; }
};
struct maximum final {
  __device__ void operator()(const float& a, const float& b, float& y) const { y = a < b ? b : a; }
};
struct reciprocal final {
  __device__ void operator()(const float& x, float& y) const { y = x == 0 ? 0 : 1 / x; }
};

/// y_t = x_{order[t]}, or y_{order[t]} = x_t: `step` leads from one token to the next where tokens are out of order,
/// and there `l` stays at the first token.
template <bool Scattered>
__global__ void ordered(const layout<3> l, std::int64_t step, const float* order, const float* x, float* y) {
  const std::uint64_t all = static_cast<std::uint64_t>(gridDim.x) * blockDim.x;
  for (std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < l.entries; i += all) {
    const auto at = places_of(l, i);
    const std::int64_t there = static_cast<std::int64_t>(order[at.at[0]]) * step;
    if constexpr (Scattered)
      y[at.at[2] + there] = x[at.at[1]];
    else
      y[at.at[2]] = x[at.at[1] + there];
  }
}
template <bool Scattered>
void reorder(in order, in x, out y) {
  constexpr unsigned threads = 256;
  in from = x;
  out to = y;
  at((Scattered ? to.stride : from.stride), time) = 0;
  const auto l = layout_of(y.size, order, from, to);
  if (l.entries == 0) return;
  const auto step = static_cast<std::int64_t>(Scattered ? y.step(time) : x.step(time));
  launch(ordered<Scattered>, blocks_for(l.entries, threads), dim3(threads), 0, l, step, order.data, x.data, y.data);
}

}  // namespace

void fill(float value, out y) { each(y.size, constant{value}, y); }

void unit(std::size_t token, out y) {
  fill(0, y);
  if (token < y.of(time)) fill(1, y.slice(time, token, token + 1));
}

void eye(out y) {
  fill(0, y);
  out diagonal = y;
  const std::size_t length = std::min(y.of(time), y.of(axis::column));
  at(diagonal.size, time) = length;
  at(diagonal.stride, time) = length == 1 ? 0 : y.step(time) + y.step(axis::column);
  at(diagonal.size, axis::column) = 1;
  at(diagonal.stride, axis::column) = 0;
  fill(1, diagonal);
}

void copy(in x, out y) {
  const auto to = [&](const auto& from) {
    is_bfloat16(y) ? each(y.size, same{}, from, as_bfloat16(y)) : each(y.size, same{}, from, y);
  };
  is_bfloat16(x) ? to(as_bfloat16(x)) : to(x);
}
void times(in a, in b, out y) { each(y.size, product{}, a, b, y); }
void plus(in a, in b, out y) { each(y.size, sum{}, a, b, y); }
void larger(in a, in b, out y) { each(y.size, maximum{}, a, b, y); }
void inverse(in x, out y) { each(y.size, reciprocal{}, x, y); }

void shift(std::ptrdiff_t lag, in x, out y) {
  const std::size_t tokens = y.of(time), by = std::min(tokens, static_cast<std::size_t>(std::abs(lag)));
  const bool later = lag > 0;
  if (by > 0) fill(0, y.slice(time, later ? 0 : tokens - by, later ? by : tokens));
  if (by == tokens) return;
  copy(x.slice(time, later ? 0 : by, later ? tokens - by : tokens),
       y.slice(time, later ? by : 0, later ? tokens : tokens - by));
}

void reverse(in x, out y) { each(y.size, same{}, backwards(x), y); }

void gather(in order, in x, out y) { reorder<false>(order, x, y); }
void scatter(in order, in g, out y) { reorder<true>(order, g, y); }

}  // namespace alphaform::cuda

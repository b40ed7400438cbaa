// Views address the entries that their definition says, and an arena counts exactly the bytes that are alive.
#include <doctest/doctest.h>

#include <alphaform/backends/tensor.hpp>
#include <cstdint>
#include <limits>
#include <new>
#include <numeric>
#include <optional>

namespace alphaform {
namespace {

constexpr extents sizes{4, 1, 1, 3, 2, 1, 1, 1, 5};  // T, G, H, C, N, R, K, Z, columns

/// The number at an index of a view; an axis of size 1 is the same everywhere.
double at_index(const view<const double>& v, const extents& i) {
  std::size_t place = 0;
  for (std::size_t k = 0; k < axis_count; ++k) place += i[k] * v.stride[k];
  return v.data[place];
}
/// A tensor whose entry at (t, 0, c, n, 0, 0, 0, s) is 1000 t + 100 c + 10 n + s.
tensor<double> numbered(const arena<double>& memory) {
  const tensor<double> x = memory.make(sizes);
  double* next = x.v.data;
  for (int t = 0; t < 4; ++t)
    for (int c = 0; c < 3; ++c)
      for (int n = 0; n < 2; ++n)
        for (int s = 0; s < 5; ++s) *next++ = 1000 * t + 100 * c + 10 * n + s;
  return x;
}

TEST_CASE("contiguous strides are row-major and 0 where an axis has one entry") {
  static_assert(volume(sizes) == 120);
  static_assert(contiguous(sizes) == extents{30, 0, 0, 10, 5, 0, 0, 0, 1});
  static_assert(contiguous(single) == extents{});
  const tensor<double> x = numbered(arena<double>(reference_kernels()));
  CHECK(at_index(x, {3, 0, 0, 2, 1, 0, 0, 0, 4}) == 3214);
  CHECK(at_index(x, {1, 0, 0, 0, 1, 0, 0, 0, 0}) == 1010);
}

TEST_CASE("slices of slices address their entries and keep the numbers alive") {
  std::optional<tensor<double>> part;
  arena<double> memory(reference_kernels());
  {
    const tensor<double> x = numbered(memory);
    part = x.slice(axis::token, 1, 4).slice(axis::column, 2, 5).slice(axis::token, 1, 3).slice(axis::state, 1, 2);
  }
  CHECK(memory.count().now == 120 * sizeof(double));
  CHECK(part->v.size == extents{2, 1, 1, 3, 1, 1, 1, 1, 3});
  CHECK(part->v.step(axis::state) == 0);
  CHECK(part->v.step(axis::token) == 30);
  for (std::size_t t = 0; t < 2; ++t)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t s = 0; s < 3; ++s)
        CHECK(at_index(*part, {t, 0, 0, c, 0, 0, 0, 0, s}) ==
              static_cast<double>(1000 * (t + 2) + 100 * c + 10 + s + 2));
  CHECK(at_index(*part, {1, 7, 7, 2, 9, 0, 3, 5, 1}) == 3213);  // axes of size 1 repeat
  part.reset();
  CHECK(memory.count().now == 0);
}

TEST_CASE("an axis of size 1 is the same for every slice and a view without storage stays so") {
  constexpr extents size{5, 1, 1, 3, 1, 1, 1, 1, 1};
  const view<double> v{nullptr, size, contiguous(size)};
  CHECK(v.slice(axis::head, 4, 9).size == v.size);
  CHECK(v.slice(axis::token, 2, 4).data == nullptr);
  CHECK(v.slice(axis::token, 2, 4).of(axis::token) == 2);
}

TEST_CASE("an arena counts the bytes alive and their maximum") {
  const arena<float> memory(cpu_kernels());
  extents thousand = single;
  at(thousand, axis::token) = 1000;
  CHECK(memory.count().peak == 0);
  {
    const tensor<float> a = memory.make(thousand), b = memory.filled(thousand, 2);
    CHECK(b.v.data[0] + b.v.data[999] == 4);
    CHECK(memory.count().now == 8000);
    {
      const tensor<float> copy = a, c = memory.make(single);
      CHECK(memory.count().now == 8004);  // a copy shares its numbers
    }
    CHECK(memory.count().now == 8000);
  }
  CHECK(memory.count().now == 0);
  const tensor<float> later = memory.make(thousand);
  CHECK(memory.count().now == 4000);
  CHECK(memory.count().peak == 8004);
}

TEST_CASE("a tensor may outlive its arena") {
  tensor<double> x;
  CHECK_FALSE(x);
  x = numbered(arena<double>(reference_kernels()));
  CHECK(x);
  CHECK(std::accumulate(x.v.data, x.v.data + 120, 0.0) == 120 * (1500 + 100 + 5 + 2));
}

TEST_CASE("large memory that was released is there again for the same count, and too much of it is refused") {
  const kernels<float>& k = cpu_kernels();
  constexpr std::size_t large = std::size_t{4} << 20, page = std::size_t{2} << 20;  // numbers, bytes
  float* const first = k.allocate(large);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % page == 0);
  first[0] = first[large - 1] = 1;
  k.release(first);
  float* const again = k.allocate(large);
  CHECK(again == first);
  float* const other = k.allocate(large);  // the first is in use
  CHECK(other != again);
  k.release(again);
  k.release(other);
  CHECK_THROWS_AS(k.allocate(std::numeric_limits<std::size_t>::max() / 2), std::bad_alloc);
}

}  // namespace
}  // namespace alphaform

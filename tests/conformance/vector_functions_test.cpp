// The vector functions against the definitions in double over the whole range of float, and pointwise programs against
// the same instructions one number at a time.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/backends/cpu/pointwise/evaluate.hpp>
#include <alphaform/backends/cpu/simd/functions.hpp>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace alphaform::test {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
constexpr double least_normal = 0x1p-126;

constexpr auto truth =
    tabulate(functions_tuple, [](auto f) -> double (*)(const double&) { return &decltype(f)::template value<double>; });

/// a b + c for vectors in one rounding? Not all processors have it.
bool fused() {
  pointwise p;
  p.registers = 3;
  p.operands = 3;
  for (std::uint8_t k = 0; k < 3; ++k) p.instructions.push_back({pointwise::operation::load, k, k});
  p.instructions.push_back({pointwise::operation::times_plus, 0, 0, 1, 2});
  const float a = 1 + 0x1p-12f, c = -a * a;
  float y = 0;
  const view<const float> operands[]{{&a}, {&a}, {&c}};
  cpu::evaluate(p, operands, view<float>{&y});
  return y != 0;
}

/// The largest error in units in the last place that a function may have.
double allowed(code f) {
  const auto one_of = [f](auto... functions) { return ((f == function_code<decltype(functions)>) || ...); };
  if (one_of(functions::neg{}, functions::abs{}, functions::relu{}, functions::step{}, functions::sign{})) return 0;
  if (one_of(functions::reciprocal{}, functions::complement{}, functions::square{}, functions::sqrt{})) return 0.5;
  if (one_of(functions::softplus{}) && !fused()) return 2.5;
  return 2;
}

/// Every sign and exponent with some mantissas, the ends of each among them.
std::vector<float> all_over(std::size_t mantissas) {
  std::mt19937 random(1);
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 512; ++high)
    for (std::size_t k = 0; k < mantissas; ++k) {
      const std::uint32_t low = k == 0   ? 0
                                : k == 1 ? 0x7fffff
                                : k == 2 ? 1
                                : k == 3 ? 0x3504f3  // sqrt(2)
                                         : random() & 0x7fffff;
      x.push_back(std::bit_cast<float>(high << 23 | low));
    }
  // where functions leave the range, and where one approximation takes over from another
  for (const float edge : {87.33654f, 88.0f, 88.02969f, 88.72283f, 92.0f, 93.0f, 103.97f, 0.55f, 18.0f, 17.328679f,
                           80.0f, 0.34657359f, 10.0f, 9.01f, 16.635532f, 1.0f, 0.70710677f, 1e4f}) {
    float below = edge, above = edge;
    for (int k = 0; k < 20; ++k) {
      for (const float e : {below, above}) x.insert(x.end(), {e, -e});
      below = std::nextafter(below, 0.0f);
      above = std::nextafter(above, inf);
    }
  }
  return x;
}

/// |y - want| in units in the last place of `want`.
double error_of(float y, double want) {
  const int exponent = std::max(std::ilogb(want), -126);
  return std::abs(static_cast<double>(y) - want) / std::ldexp(1.0, exponent - 23);
}

TEST_CASE("vector functions are within two units in the last place over the whole range") {
  const std::vector<float> x = all_over(700);
  std::vector<float> y(x.size());
  for (code f = 0; f < function_table.size(); ++f) {
    CAPTURE(function_table[f].meaning);
    cpu::function_on_strips(f)(x.data(), y.data(), x.size());
    double worst = 0;
    float at = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double want = truth[f](static_cast<double>(x[i]));
      const auto rounded = static_cast<float>(want);
      if (std::isinf(x[i]) && std::isnan(want)) continue;  // inf - inf in the definition, below
      if (std::isnan(want) || std::isinf(rounded) || std::isinf(y[i])) {
        if (std::isnan(want) ? !std::isnan(y[i]) : y[i] != rounded) FAIL_CHECK(x[i] << " gives " << y[i]);
      } else if (std::abs(want) < least_normal) {  // may become 0
        if (std::abs(y[i]) > 0x1p-126f || (want == 0 && y[i] != 0)) FAIL_CHECK(x[i] << " gives " << y[i]);
      } else if (const double error = error_of(y[i], want); error > worst) {
        worst = error;
        at = x[i];
      }
    }
    CAPTURE(at);
    CHECK(worst <= allowed(f));
  }
}

float value_of(code f, float x) {
  float y = 0;
  cpu::function_on_strips(f)(&x, &y, 1);
  return y;
}

TEST_CASE("vector functions at zeros and infinities") {
  const auto sign_of_zero = [](float y) { return y == 0 && std::signbit(y); };
  for (const code f : {function_code<functions::expm1>, function_code<functions::silu>, function_code<functions::tanh>,
                       function_code<functions::sin>, function_code<functions::sqrt>}) {
    CAPTURE(function_table[f].meaning);
    CHECK(sign_of_zero(value_of(f, -0.0f)));
    CHECK_FALSE(sign_of_zero(value_of(f, 0.0f)));
  }
  CHECK(value_of(function_code<functions::exp>, -inf) == 0);
  CHECK(value_of(function_code<functions::exp>, inf) == inf);
  CHECK(value_of(function_code<functions::expm1>, -inf) == -1);
  CHECK(value_of(function_code<functions::log>, 0) == -inf);
  CHECK(value_of(function_code<functions::log>, inf) == inf);
  CHECK(std::isnan(value_of(function_code<functions::log>, -1)));
  CHECK(value_of(function_code<functions::sigmoid>, -inf) == 0);
  CHECK(value_of(function_code<functions::sigmoid>, inf) == 1);
  CHECK(value_of(function_code<functions::softplus>, -inf) == 0);
  CHECK(value_of(function_code<functions::softplus>, inf) == inf);
  CHECK(value_of(function_code<functions::silu>, -inf) == 0);
  CHECK(value_of(function_code<functions::silu>, inf) == inf);
  CHECK(value_of(function_code<functions::relu>, -inf) == 0);
  CHECK(value_of(function_code<functions::tanh>, -inf) == -1);
  for (code f = 0; f < function_table.size(); ++f)
    if (f != function_code<functions::sign> && f != function_code<functions::step>) CHECK(std::isnan(value_of(f, nan)));
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

TEST_CASE("a vector function gives a number the same result at every place") {
  std::vector<float> x = all_over(1);
  x.resize(519);
  for (code f = 0; f < function_table.size(); ++f) {
    CAPTURE(function_table[f].meaning);
    for (const std::size_t n : std::initializer_list<std::size_t>{1, 3, 15, 16, 17, 40, 517}) {
      std::vector<float> y(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n) + 1);
      cpu::function_on_strips(f)(y.data() + 1, y.data() + 1, n - (n == 517 ? 1 : 0));
      std::size_t wrong = 0;
      for (std::size_t i = 1; i + 1 < n; ++i) wrong += same(y[i], value_of(f, x[i])) ? 0 : 1;
      CHECK(wrong == 0);
      CHECK(same(y[0], x[0]));
    }
  }
}

/// A program over `operands` that writes registers more than once; its numbers stay of order 1.
pointwise random_program(std::mt19937& random, std::size_t operands) {
  using operation = pointwise::operation;
  pointwise p;
  p.operands = static_cast<std::uint8_t>(operands);
  p.registers = static_cast<std::uint8_t>(operands + 2);
  const auto any = [&](std::size_t n) { return static_cast<std::uint8_t>(random() % n); };
  for (std::uint8_t k = 0; k < p.operands; ++k) p.instructions.push_back({operation::load, k, k});
  p.instructions.push_back({operation::number, p.operands, 0, 0, 0, 0, 0.75});
  p.instructions.push_back({operation::number, static_cast<std::uint8_t>(p.operands + 1), 0, 0, 0, 0, -1.5});
  const std::size_t length = random() % 8;  // 0: the program ends with a number or, below, with a load
  for (std::size_t i = 0; i < length; ++i) {
    constexpr operation some[]{operation::map,        operation::times,   operation::plus, operation::larger,
                               operation::times_plus, operation::inverse, operation::map};
    p.instructions.push_back({some[random() % 7], any(p.registers), any(p.registers), any(p.registers),
                              any(p.registers), any(function_table.size())});
  }
  if (length == 0 && random() % 2 == 0) p.instructions.push_back({operation::load, 0, any(operands)});
  return p;
}

float interpreted(const pointwise& p, const std::vector<float>& operands, bool fused) {
  using operation = pointwise::operation;
  std::vector<float> r(p.registers);
  for (const auto& i : p.instructions) {
    const float a = i.is == operation::load || i.is == operation::number ? 0 : r[i.a], b = r[i.b], c = r[i.c];
    float& to = r[i.to];
    switch (i.is) {
      case operation::load:
        to = operands[i.a];
        break;
      case operation::number:
        to = static_cast<float>(i.number);
        break;
      case operation::map:
        to = value_of(i.function, a);
        break;
      case operation::times:
        to = a * b;
        break;
      case operation::plus:
        to = a + b;
        break;
      case operation::larger:
        to = std::max(a, b);
        break;
      case operation::times_plus: {
        const volatile float product = a * b;
        to = fused ? std::fma(a, b, c) : product + c;
        break;
      }
      case operation::lost:
        to = std::fma(a, b, -c);
        break;
      case operation::inverse:
        to = a == 0 ? 0 : 1 / a;
        break;
      case operation::scan:
      case operation::scan_back:
      case operation::states:
      case operation::states_back:
        FAIL("no program here goes over tokens");
        break;
    }
  }
  return r[p.instructions.back().to];
}

/// A stream of random numbers that lacks some of the axes of `size` and whose storage has gaps.
struct stored final {
  std::vector<float> numbers;
  view<float> v;
};
stored random_stream(std::mt19937& random, const extents& size, bool whole) {
  stored s;
  std::size_t n = 1;
  for (std::size_t a = axis_count; a-- > 0;) {
    s.v.size[a] = whole || random() % 3 != 0 ? size[a] : 1;
    s.v.stride[a] = s.v.size[a] == 1 ? 0 : n;
    n *= s.v.size[a];
    if (random() % 6 == 0) n = n * 2 + 1;
  }
  std::uniform_real_distribution<float> number(-2, 2);
  for (std::size_t i = 0; i < n; ++i) s.numbers.push_back(random() % 16 == 0 ? 0 : number(random));
  s.v.data = s.numbers.data();
  return s;
}
std::size_t offset(const view<float>& v, const extents& i) {
  std::size_t o = 0;
  for (std::size_t a = 0; a < axis_count; ++a) o += i[a] * v.stride[a];
  return o;
}
template <class F>
void each_place(const extents& size, F f) {
  extents i{};
  for (std::size_t left = volume(size); left-- > 0;) {
    f(i);
    for (std::size_t a = axis_count; a-- > 0 && ++i[a] == size[a];) i[a] = 0;
  }
}
extents random_size(std::mt19937& random) {
  constexpr std::size_t lengths[]{1, 1, 2, 3, 5, 16, 17, 70};
  extents size = single;
  for (const axis a : {axis::token, axis::head, axis::chan, axis::state, axis::column})
    at(size, a) = lengths[random() % 8];
  if (random() % 4 == 0) at(size, axis::chan) = 1100;
  while (volume(size) > 5000) at(size, every_axis[random() % axis_count]) = 1;
  return size;
}

TEST_CASE("programs over streams are what their instructions are one number at a time") {
  std::mt19937 random(3);
  const bool fusing = fused();
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    const extents size = random_size(random);
    std::vector<stored> streams;
    for (std::size_t k = 1 + random() % 4; k-- > 0;) streams.push_back(random_stream(random, size, false));
    const pointwise p = random_program(random, streams.size());
    std::vector<view<const float>> operands;
    for (const stored& s : streams) operands.push_back(s.v);
    stored y = random_stream(random, size, true);
    const std::vector<float> before = y.numbers;
    cpu::evaluate(p, operands, y.v);
    std::vector<bool> written(before.size());
    std::size_t wrong = 0;
    each_place(size, [&](const extents& i) {
      std::vector<float> numbers;
      for (const stored& s : streams) numbers.push_back(s.numbers[offset(s.v, i)]);
      const std::size_t o = offset(y.v, i);
      written[o] = true;
      wrong += same(y.numbers[o], interpreted(p, numbers, fusing)) ? 0 : 1;
    });
    CHECK(wrong == 0);
    for (std::size_t o = 0; o < before.size(); ++o)
      if (!written[o] && !same(before[o], y.numbers[o])) FAIL_CHECK("written outside of the result");
  }
}

TEST_CASE("what a product has lost is exact") {
  using operation = pointwise::operation;
  std::mt19937 random(5);
  std::uniform_real_distribution<float> number(-1e5f, 1e5f);
  std::vector<float> a(1000), b(1000), y(1000);
  for (std::size_t i = 0; i < 1000; ++i) a[i] = number(random), b[i] = i < 3 ? 0 : number(random) * 1e-6f;
  const pointwise p{
      {{operation::load, 0, 0}, {operation::load, 1, 1}, {operation::times, 2, 0, 1}, {operation::lost, 2, 0, 1, 2}},
      3,
      2};
  const extents size = stream_extents(1000, 1);
  const view<const float> operands[]{{a.data(), size, contiguous(size)}, {b.data(), size, contiguous(size)}};
  cpu::evaluate(p, operands, view<float>{y.data(), size, contiguous(size)});
  for (std::size_t i = 0; i < 1000; ++i) {
    const double exact = static_cast<double>(a[i]) * static_cast<double>(b[i]);
    CHECK(static_cast<double>(y[i]) == exact - static_cast<double>(a[i] * b[i]));
  }
}

TEST_CASE("single instructions over streams, in place or not") {
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    const extents size = random_size(random);
    const bool in_place = random() % 2 == 0;
    stored y = random_stream(random, size, true);
    const stored a = in_place ? y : random_stream(random, size, false), b = random_stream(random, size, false);
    const view<const float> from = in_place ? view<const float>(y.v) : view<const float>(a.v);
    // a copy of the storage: `a.v` of an in-place stream refers to y's
    const auto first = [&](const extents& i) { return a.numbers[offset(in_place ? y.v : a.v, i)]; };
    const std::size_t o = random() % 4;
    const code f = static_cast<code>(random() % function_table.size());
    if (o == 0) cpu::times(from, b.v, y.v);
    if (o == 1) cpu::plus(from, b.v, y.v);
    if (o == 2) cpu::larger(from, b.v, y.v);
    if (o == 3) cpu::map(f, from, y.v);
    std::size_t wrong = 0;
    each_place(size, [&](const extents& i) {
      const float p = first(i), q = b.numbers[offset(b.v, i)];
      const float want = o == 0 ? p * q : o == 1 ? p + q : o == 2 ? std::max(p, q) : value_of(f, p);
      wrong += same(y.numbers[offset(y.v, i)], want) ? 0 : 1;
    });
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace alphaform::test

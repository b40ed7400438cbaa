// Filters by transforms against the sums that they are, in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/backends/cpu/filters/long_filter.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace alphaform {
namespace {

struct stream final {
  std::vector<float> numbers;
  extents size = single, stride{};
  std::size_t first = 0;
  operator view<float>() { return {numbers.data() + first, size, stride}; }
  operator view<const float>() const { return {numbers.data() + first, size, stride}; }
};

struct draw final {
  std::mt19937 random{20250201};
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); }
  std::size_t one_of(std::initializer_list<std::size_t> choice) { return choice.begin()[below(choice.size())]; }

  /// In order, with the tokens (or taps) inside, or a part of something larger.
  stream of(const extents& size) {
    stream s;
    s.size = size;
    extents room = size;
    const std::size_t kind = below(3);
    if (kind == 1) std::swap(at(room, axis::token), at(room, axis::column));
    if (kind == 2)
      for (std::size_t& n : room) n += n > 1 ? 1 : 0;
    s.stride = contiguous(room);
    if (kind == 1) std::swap(at(s.stride, axis::token), at(s.stride, axis::column));
    if (kind == 2)
      for (const std::size_t n : s.stride) s.first += n;
    s.numbers.resize(volume(room));
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& n : s.numbers) n = uniform(random);
    return s;
  }
  extents some(extents size) {
    for (std::size_t& n : size)
      if (below(4) == 0) n = 1;
    return size;
  }
};

/// The largest error of one filter, relative to the size of its results as random signs would make it: the largest
/// root of a sum of squared terms. A few tokens may cancel by chance.
double error(bool adjoint, const stream& w, const stream& x, const stream& y) {
  const std::size_t tokens = at(y.size, axis::token), width = at(w.size, axis::tap);
  extents others = y.size, i{};
  at(others, axis::token) = 1;
  double worst = 0;
  for (bool more = true; more;) {
    const auto start = [&i](const stream& s) {
      std::size_t o = s.first;
      for (std::size_t a = 0; a < axis_count; ++a) o += i[a] * s.stride[a];
      return s.numbers.data() + o;
    };
    std::vector<double> taps(width), input(tokens);
    for (std::size_t k = 0; k < width; ++k)
      taps[k] = static_cast<double>(start(w)[(width - 1 - k) * at(w.stride, axis::tap)]);
    for (std::size_t t = 0; t < tokens; ++t) input[t] = static_cast<double>(start(x)[t * at(x.stride, axis::token)]);
    double most = 0, off = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
      double sum = 0, squares = 0;
      const std::size_t reach = std::min(width, adjoint ? tokens - t : t + 1);
      for (std::size_t k = 0; k < reach; ++k) {
        const double term = taps[k] * input[adjoint ? t + k : t - k];
        sum += term;
        squares += term * term;
      }
      const double difference = std::abs(sum - static_cast<double>(start(y)[t * at(y.stride, axis::token)]));
      off = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(off, difference);
      most = std::max(most, std::sqrt(squares));
    }
    worst = std::max(worst, off / most);
    std::size_t a = axis_count;
    while (a > 0 && ++i[a - 1] == others[a - 1]) i[--a] = 0;
    more = a > 0;
  }
  return worst;
}

TEST_CASE("long filters of any sizes and strides") {
  draw random;
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    extents size = single;
    at(size, axis::token) = random.one_of({1, 2, 3, 5, 8, 31, 64, 100, 257});
    at(size, axis::group) = random.one_of({1, 1, 2});
    at(size, axis::head) = random.one_of({1, 1, 3});
    at(size, axis::chan) = random.one_of({1, 3, 16, 17, 40});
    at(size, axis::column) = random.one_of({1, 1, 2});
    extents taps = random.some(size);
    at(taps, axis::token) = 1;
    at(taps, axis::tap) = random.one_of({1, 2, 4, 7, 31, 64, 130, 300});
    const stream w = random.of(taps), x = random.of(random.some(size));
    if (at(x.size, axis::token) != at(size, axis::token)) continue;
    for (const bool adjoint : {false, true}) {
      CAPTURE(adjoint);
      stream y = random.of(size);
      (adjoint ? cpu::long_filter_adjoint : cpu::long_filter)(w, x, y);
      CHECK(error(adjoint, w, x, y) <= 1e-6);
    }
  }
}

TEST_CASE("a filter as long as 16,384 tokens is exact to 1e-6") {
  draw random;
  extents size = single, taps = single;
  at(size, axis::token) = at(taps, axis::tap) = 16384;
  at(size, axis::chan) = at(taps, axis::chan) = 2;
  stream w = random.of(taps);
  const stream x = random.of(size);
  stream y = random.of(size);
  cpu::long_filter(w, x, y);
  CHECK(error(false, w, x, y) <= 1e-6);
  cpu::long_filter_adjoint(w, x, y);
  CHECK(error(true, w, x, y) <= 1e-6);
}

TEST_CASE("transforms are for long filters") {
  CHECK_FALSE(cpu::worth_transforming(4, 4096));
  CHECK_FALSE(cpu::worth_transforming(4, 1));
  CHECK(cpu::worth_transforming(4096, 4096));
  CHECK(cpu::worth_transforming(65536, 65536));
}

}  // namespace
}  // namespace alphaform

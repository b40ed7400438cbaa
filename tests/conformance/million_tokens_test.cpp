// Kernels of recurrences on 1,000,003 tokens, which no block, chunk or tile divides, against plain loops in double.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "../devices.hpp"

namespace alphaform {
namespace {

constexpr std::size_t tokens = 1'000'003;

/// Streams are numbers of a token times numbers of a state, so that they fit into memory.
struct stream final {
  std::vector<float> of_token, of_state;
  double operator()(std::size_t t, std::size_t n) const {
    return static_cast<double>(of_token[t]) * static_cast<double>(of_state[n]);
  }
  factored<float> factors() {
    extents by_token = single, by_state = single;
    at(by_token, axis::token) = of_token.size();
    at(by_state, axis::state) = of_state.size();
    return {{of_token.data(), by_token, contiguous(by_token)}, {of_state.data(), by_state, contiguous(by_state)}};
  }
};

struct sizes final {
  std::size_t states, channels;
};

/// A head that remembers for some hundreds of tokens; with p and q, a delta rule.
struct head final {
  std::mt19937 random{7};
  sizes z;
  stream decay, write, read, p, q;
  std::vector<float> x;

  explicit head(sizes of) : z(of) {
    decay = draw(0, 0.02f, -1, 0);
    write = draw(0, 1, -1, 1);
    read = draw(0, 1, -1, 1);
    q = draw(1, 1, -1, 1);
    double square = 0;
    for (const float k : q.of_state) square += static_cast<double>(k) * static_cast<double>(k);
    for (float& k : q.of_state) k /= static_cast<float>(std::sqrt(square));
    p = {numbers(tokens, -1, 0), q.of_state};
    x = numbers(tokens * z.channels, -1, 1);
  }
  recurrence<float> diagonal() { return {decay.factors(), write.factors(), read.factors(), true, false}; }
  rank_one_recurrence<float> corrected() { return {diagonal(), p.factors(), q.factors()}; }

 private:
  std::vector<float> numbers(std::size_t n, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> all(n);
    for (float& one : all) one = uniform(random);
    return all;
  }
  stream draw(float low, float high, float lowest, float highest) {
    return {numbers(tokens, low, high), numbers(z.states, lowest, highest)};
  }
};

struct result final {
  std::vector<double> y, h;
};

/// h <- A h + b x and y = c h, or its transpose.
result in_double(const head& s, bool corrects, bool transposed) {
  const std::size_t N = s.z.states, C = s.z.channels;
  result r{std::vector<double>(tokens * C), std::vector<double>(N * C)};
  const stream &write = transposed ? s.read : s.write, &read = transposed ? s.write : s.read,
               &p = transposed ? s.q : s.p, &q = transposed ? s.p : s.q;
  std::vector<double> sums(C);
  for (std::size_t k = 0; k < tokens; ++k) {
    const std::size_t t = transposed ? tokens - 1 - k : k;
    const auto transit = [&] {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::size_t n = 0; corrects && n < N; ++n)
        for (std::size_t c = 0; c < C; ++c) sums[c] += q(t, n) * r.h[c * N + n];
      for (std::size_t n = 0; n < N; ++n) {
        const double a = std::exp(s.decay(t, n)), by = corrects ? p(t, n) : 0;
        for (std::size_t c = 0; c < C; ++c) r.h[c * N + n] = a * r.h[c * N + n] + by * sums[c];
      }
    };
    if (!transposed) transit();
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t c = 0; c < C; ++c) {
        r.h[c * N + n] += write(t, n) * static_cast<double>(s.x[t * C + c]);
        r.y[t * C + c] += read(t, n) * r.h[c * N + n];
      }
    if (transposed) transit();
  }
  return r;
}

double miss(const std::vector<double>& exact, const std::vector<float>& found) {
  double most = 0, scale = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = std::abs(static_cast<double>(found[i]) - exact[i]);
    most = std::max(most, std::isnan(difference) ? HUGE_VAL : difference);
    scale = std::max(scale, std::abs(exact[i]));
  }
  return most / scale;
}

ON_EVERY_DEVICE("recurrences of a million and three tokens are what their definition says") {
  USE_DEVICE();
  for (const sizes z : {sizes{2, 3}, sizes{16, 17}}) {  // small, and as many as chunks of heads take
    head s(z);
    extents x_size = single, h_size = single;
    at(x_size, axis::token) = tokens;
    at(x_size, axis::chan) = at(h_size, axis::chan) = z.channels;
    at(h_size, axis::state) = z.states;
    for (const bool corrects : {false, true})
      for (const bool transposed : {false, true}) {
        CAPTURE(z.states);
        CAPTURE(corrects);
        CAPTURE(transposed);
        const result exact = in_double(s, corrects, transposed);
        std::vector<float> y(s.x.size()), h(z.states * z.channels);
        const view<const float> x{s.x.data(), x_size, contiguous(x_size)};
        const view<float> to{y.data(), x_size, contiguous(x_size)}, state{h.data(), h_size, contiguous(h_size)};
        const kernels<float>& k = *test::tested;
        if (corrects)
          (transposed ? k.rank_one_adjoint : k.rank_one)(s.corrected(), x, state, to);
        else
          (transposed ? k.unrolled_adjoint : k.unrolled)(s.diagonal(), x, state, to);
        CHECK(miss(exact.y, y) <= 1e-5);  // what the engine promises of float
        CHECK(miss(exact.h, h) <= 1e-5);
      }
  }
}

}  // namespace
}  // namespace alphaform

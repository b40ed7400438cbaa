// The same ceilings for a backend with its own memory, by its own kernels.
#include <alphaform/backends/tensor.hpp>
#include <alphaform/benchmarks/backend.hpp>
#include <alphaform/benchmarks/ceilings.hpp>
#include <chrono>

namespace alphaform::benchmarks {

namespace {

/// Of one run among `runs` that are asked for at once, the shortest of a few tries.
template <class F>
double shortest(int runs, F run) {
  double best = 1e30;
  for (int tries = 0; tries < 5; ++tries) {
    run();
    finish();
    const auto start = std::chrono::steady_clock::now();
    for (int k = 0; k < runs; ++k) run();
    finish();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs);
  }
  return best;
}

double copy_rate(std::size_t numbers) {
  const arena<float> memory(backend());
  const extents size = stream_extents(numbers / 1024, 1024);
  const tensor<float> from = memory.filled(size, 1), to = memory.make(size);
  return 2.0 * static_cast<double>(numbers * sizeof(float)) / shortest(10, [&] { backend().copy(from, to); });
}

/// Numbers that go through so many exponentials before they are stored.
double exponential_rate(std::size_t numbers) {
  constexpr int times = 64;
  pointwise p{{{.is = pointwise::operation::load}}, 1, 1};
  for (int k = 0; k < times; ++k) {
    p.instructions.push_back({.is = pointwise::operation::map, .function = function_code<functions::neg>});
    p.instructions.push_back({.is = pointwise::operation::map, .function = function_code<functions::exp>});
  }
  const arena<float> memory(backend());
  const extents size = stream_extents(numbers / 1024, 1024);
  const tensor<float> x = memory.filled(size, 1), y = memory.make(size);
  const view<const float> operand = x;
  return times * static_cast<double>(numbers) / shortest(10, [&] { backend().evaluate(p, std::span(&operand, 1), y); });
}

double product_rate(const product_size& s) {
  const arena<float> memory(backend());
  extents weight = single;
  at(weight, axis::token) = s.n;
  at(weight, axis::head) = s.k;
  const tensor<float> w = memory.filled(weight, 0.5f), x = memory.filled(stream_extents(s.m, s.k), 0.5f),
                      y = memory.make(stream_extents(s.m, s.n));
  return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) /
         shortest(10, [&] { backend().linear(w, axis::chan, axis::chan, x, y); });
}

}  // namespace

rates device_ceilings_for(const needs& n, bool quick) {
  const std::size_t numbers = (quick ? 1 : 256) * std::size_t{1} << 20;
  rates r;
  if (n.bytes > 0) r.bytes = copy_rate(numbers);
  if (n.exponentials > 0) r.exponentials = exponential_rate(numbers / 16);
  if (n.flops > 0) r.flops = product_rate(n.products);
  return r;
}

}  // namespace alphaform::benchmarks

// Declarations whose queries on one backend are compared with those in double.
#pragma once
#include <doctest/doctest.h>

#include <alphaform/backends/attention.hpp>
#include <cmath>
#include <vector>

#include "random_environment.hpp"

namespace alphaform::test {

struct declared final {
  const char* what;
  expr y;
};

/// The largest difference, in the largest entry.
template <class T>
double apart(const tensor<double>& exact, const tensor<T>& found) {
  const std::vector<double> a = numbers_of(exact);
  const std::vector<T> b = numbers_of(found);
  REQUIRE(a.size() == b.size());
  double most = 0, scale = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::isfinite(b[i]) ? std::abs(a[i] - static_cast<double>(b[i])) : 1e30);
    scale = std::max(scale, std::abs(a[i]));
  }
  return most / scale;
}

/// Queries of a declaration in double against those on `k`.
template <class T>
void compare(const declared& d, const witness_sizes& sizes, const kernels<T>& k, double most) {
  const std::string what = d.what;
  CAPTURE(what);
  CAPTURE(sizes.tokens);
  CAPTURE(sizes.states);
  random_environment names(sizes, 11);
  names.draw(term_view(d.y));
  names.round();
  const bound_formula f = formula_of(d.y);
  implicit_attention<double> exact(f, names.bound(reference_kernels()), reference_kernels());
  implicit_attention<T> found(f, names.bound(k), k);
  CHECK(apart(exact.apply(exact.x()), found.apply(found.x())) < most);
  CHECK(apart(exact.output(), found.output()) < most);
  // What comes back is a stream like y.
  std::vector<double> g(volume(exact.stream()));
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i)));
  const tensor<double> back = stored(g, exact.stream(), reference_kernels());
  const tensor<T> back_found = stored(std::vector<T>(g.begin(), g.end()), exact.stream(), k);
  CHECK(apart(exact.adjoint(back), found.adjoint(back_found)) < most);
  const auto last = static_cast<std::size_t>(sizes.tokens - 1);
  CHECK(apart(exact.row(last), found.row(last)) < most);
}

}  // namespace alphaform::test

// An unrolled recurrence in one pass with what is pointwise around it, where a backend has such a pass, against the
// same declaration taken apart in double.
#include <alphaform/algebra/layers.hpp>
#include <alphaform/backends/attention.hpp>
#include <alphaform/backends/reference/definition.hpp>

#include "../devices.hpp"
#include "random_environment.hpp"

namespace alphaform {
namespace {

constexpr axes lanes = group | chan, heads = head | chan;
constexpr auto step = softplus(input<"dt", lanes>);
constexpr auto decays = decay(exp(step * -exp(param<"A", lanes | state>)));
constexpr auto x = input<"x", lanes>;

struct declared final {
  const char* what;
  expr y;
};
const declared forms[] = {
    {"with a skip and a gate, and a filter before it",
     (diag(silu(input<"z", lanes>)) *
      (unrolled(decays, write(step* input<"B", group | state>), read(input<"C", group | state>)) +
       diag(param<"D", lanes>)) *
      diag(sigmoid(input<"c", lanes>)) * fir<"taps"> * x)
         .e},
    {"with what is written and read the same for all tokens",
     (diag(input<"z", lanes>) * unrolled(decays, write(param<"B", lanes | state>), read(param<"C", lanes | state>)) *
      diag(step) * x)
         .e},
    {"with one decay for all states of a head",
     ((unrolled(decay(exp(-softplus(input<"a", head>))), write(input<"B", state>), read(input<"C", state>)) +
       diag(param<"D", head>)) *
      input<"x", heads>)
         .e}};

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

constexpr witness_sizes all_sizes[] = {{.tokens = 1, .heads = 1, .channels = 5, .states = 3, .groups = 1},
                                       {.tokens = 33, .heads = 2, .channels = 37, .states = 16, .groups = 3},
                                       {.tokens = 64, .heads = 3, .channels = 64, .states = 7, .groups = 1},
                                       {.tokens = 203, .heads = 1, .channels = 2, .states = 130, .groups = 2},
                                       {.tokens = 1000, .heads = 2, .channels = 13, .states = 33, .groups = 2}};

/// Queries of a declaration in double against those on `k`.
template <class T>
void compare(const declared& d, const witness_sizes& sizes, const kernels<T>& k, double most) {
  const std::string what = d.what;
  CAPTURE(what);
  CAPTURE(sizes.tokens);
  CAPTURE(sizes.states);
  test::random_environment names(sizes, 11);
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

TEST_CASE("a pass over an unrolled recurrence, by its definition, is what its parts are") {
  static int passes = 0;
  kernels<double> with_pass = reference_kernels();
  with_pass.unrolled_pass = [](const pointwise& p, const state_factors<double>& f,
                               std::span<const view<const double>> operands, view<double> h, view<double> y) {
    ++passes;
    reference::evaluate<double>(p, operands, h, y, reference::definition<double>::functions_in_t, &f);
  };
  for (const declared& d : forms)
    for (const witness_sizes& sizes : all_sizes) {
      passes = 0;
      compare(d, sizes, with_pass, 1e-12);
      CHECK(passes >= 4);
    }
}

ON_EVERY_DEVICE("an unrolled recurrence in one pass is what its parts are") {
  USE_DEVICE();
  kernels<float> k = *test::tested_device;
  k.pass_lanes = 0;
  for (const declared& d : forms)
    for (const witness_sizes& sizes : all_sizes) compare(d, sizes, k, 5e-6);
}

ON_EVERY_DEVICE("an unrolled recurrence in one pass keeps 65,536 steps of slow decay") {
  USE_DEVICE();
  kernels<float> k = *test::tested_device;
  k.pass_lanes = 0;
  const witness_sizes sizes{.tokens = 65536, .channels = 2, .states = 3, .groups = 1};
  const declared& d = forms[1];
  // A decay a step of 1e-6, 1e-4 and 200 nats in all: a state that is rounded at every step misses 1e-5 by far.
  for (const double a_step : {1e-6, 1e-4, 200.0 / 65536}) {
    CAPTURE(a_step);
    test::random_environment names(sizes, 12);
    names.draw(term_view(d.y));
    names.change("dt", [a_step](double) { return std::log(std::expm1(a_step)); });
    names.change("A", [](double) { return 0.0; });
    names.change("x", [](double v) { return 1 + v; });
    names.round();
    const bound_formula f = formula_of(d.y);
    implicit_attention<double> exact(f, names.bound(reference_kernels()), reference_kernels());
    implicit_attention<float> found(f, names.bound(k), k);
    CHECK(apart(exact.apply(exact.x()), found.apply(found.x())) < 1e-5);
    CHECK(apart(exact.row(65535), found.row(65535)) < 1e-5);
  }
}

}  // namespace
}  // namespace alphaform

// An unrolled recurrence in one pass with what is pointwise around it, where a backend has such a pass, against the
// same declaration taken apart in double.
#include <alphaform/algebra/layers.hpp>
#include <alphaform/backends/attention.hpp>

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

double apart(const tensor<double>& exact, const tensor<float>& found) {
  const std::vector<double> a = numbers_of(exact);
  const std::vector<float> b = numbers_of(found);
  REQUIRE(a.size() == b.size());
  double most = 0, scale = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::isfinite(b[i]) ? std::abs(a[i] - static_cast<double>(b[i])) : 1e30);
    scale = std::max(scale, std::abs(a[i]));
  }
  return most / scale;
}

ON_EVERY_DEVICE("an unrolled recurrence in one pass is what its parts are") {
  USE_DEVICE();
  const witness_sizes all_sizes[] = {{.tokens = 1, .heads = 1, .channels = 5, .states = 3, .groups = 1},
                                     {.tokens = 33, .heads = 2, .channels = 37, .states = 16, .groups = 3},
                                     {.tokens = 64, .heads = 3, .channels = 64, .states = 7, .groups = 1},
                                     {.tokens = 203, .heads = 1, .channels = 2, .states = 130, .groups = 2},
                                     {.tokens = 1000, .heads = 2, .channels = 13, .states = 33, .groups = 2}};
  for (const declared& d : forms)
    for (const witness_sizes& sizes : all_sizes) {
      CAPTURE(d.what);
      CAPTURE(sizes.tokens);
      CAPTURE(sizes.states);
      test::random_environment names(sizes, 11);
      names.draw(term_view(d.y));
      names.round();
      const bound_formula f = formula_of(d.y);
      implicit_attention<double> exact(f, names.bound(reference_kernels()), reference_kernels());
      implicit_attention<float> found(f, names.bound(*test::tested_device), *test::tested_device);
      if (test::tested_device->unrolled_pass != nullptr)
        CHECK(found.plan({.is = query::kind::apply}).steps.contains("unrolled_pass"));
      CHECK(apart(exact.apply(exact.x()), found.apply(found.x())) < 5e-6);
      CHECK(apart(exact.output(), found.output()) < 5e-6);
      // The transpose of what comes back is a stream like y.
      std::vector<double> g(volume(exact.stream()));
      for (std::size_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i)));
      const tensor<double> back = stored(g, exact.stream(), reference_kernels());
      const tensor<float> back_found =
          stored(std::vector<float>(g.begin(), g.end()), exact.stream(), *test::tested_device);
      CHECK(apart(exact.adjoint(back), found.adjoint(back_found)) < 5e-6);
      const auto last = static_cast<std::size_t>(sizes.tokens - 1);
      CHECK(apart(exact.row(last), found.row(last)) < 5e-6);
    }
}

}  // namespace
}  // namespace alphaform

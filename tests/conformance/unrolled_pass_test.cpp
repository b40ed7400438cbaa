// An unrolled recurrence in one pass with what is pointwise around it, where a backend has such a pass, against the
// same declaration taken apart in double.
#include <alphaform/algebra/layers.hpp>
#include <alphaform/backends/reference/definition.hpp>
#include <limits>

#include "../devices.hpp"
#include "declared.hpp"

namespace alphaform {
namespace {

using test::apart, test::compare, test::declared;

constexpr axes lanes = group | chan, heads = head | chan;
constexpr auto step = softplus(input<"dt", lanes>);
constexpr auto decays = decay(exp(step * -exp(param<"A", lanes | state>)));
constexpr auto x = input<"x", lanes>;

/// Sums with a row in front of functions.
constexpr auto biased = input<"dt", lanes> + param<"dt_bias", lanes>, gate = input<"z", lanes> + param<"z_bias", lanes>;
constexpr auto biased_decays = decay(exp(softplus(biased) * -exp(param<"A", lanes | state>)));

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
    {"with functions of sums with a row, used once",
     (diag(silu(gate)) *
      unrolled(biased_decays, write(softplus(biased) * input<"B", group | state>), read(input<"C", group | state>)) *
      diag(sigmoid(input<"c", lanes> + param<"c_bias", lanes>)) * x)
         .e},
    {"with such sums and functions that others need too",
     (diag(silu(gate) * gate * sigmoid(gate)) *
      (unrolled(biased_decays, write(softplus(biased) * biased * input<"B", group | state>),
                read(input<"C", group | state>)) +
       diag(sigmoid(gate))) *
      diag(sigmoid(biased) * tanh(gate)) * x)
         .e},
    {"with one decay for all states of a head",
     ((unrolled(decay(exp(-softplus(input<"a", head>))), write(input<"B", state>), read(input<"C", state>)) +
       diag(param<"D", head>)) *
      input<"x", heads>)
         .e}};

constexpr witness_sizes all_sizes[] = {{.tokens = 1, .heads = 1, .channels = 5, .states = 3, .groups = 1},
                                       {.tokens = 33, .heads = 2, .channels = 37, .states = 16, .groups = 3},
                                       {.tokens = 64, .heads = 3, .channels = 64, .states = 7, .groups = 1},
                                       {.tokens = 203, .heads = 1, .channels = 2, .states = 130, .groups = 2},
                                       {.tokens = 1000, .heads = 2, .channels = 13, .states = 33, .groups = 2}};
/// So wide that windows have a part of the channels only, and too large for caches.
constexpr witness_sizes wide{.tokens = 300, .heads = 1, .channels = 1041, .states = 16, .groups = 1};

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
  k.pass_for_heads = true;
  for (const declared& d : forms)
    for (const witness_sizes& sizes : all_sizes) compare(d, sizes, k, 5e-6);
  compare(forms[0], wide, k, 5e-6);
  witness_sizes whole_vectors = wide;
  whole_vectors.channels = 1040;
  compare(forms[0], whole_vectors, k, 5e-6);
}

ON_EVERY_DEVICE("a pass forgets everything where the decay is 0") {
  USE_DEVICE();
  kernels<float> k = *test::tested_device;
  k.pass_lanes = 0;
  const expr y = (diag(input<"z", lanes>) *
                  unrolled(decays, write(input<"B", group | state>), read(input<"C", group | state>)) * x)
                     .e;
  const witness_sizes sizes{.tokens = 150, .channels = 40, .states = 16, .groups = 1};
  for (const double dt : {3e38, std::numeric_limits<double>::infinity()}) {
    CAPTURE(dt);
    test::random_environment names(sizes, 13);
    names.draw(term_view(y));
    names.change("dt", [dt](double v) { return v > 0.8 ? dt : v; });
    names.round();
    const bound_formula f = formula_of(y);
    implicit_attention<double> exact(f, names.bound(reference_kernels()), reference_kernels());
    implicit_attention<float> found(f, names.bound(k), k);
    CHECK(apart(exact.apply(exact.x()), found.apply(found.x())) < 5e-6);
    CHECK(apart(exact.row(149), found.row(149)) < 5e-6);
  }
}

ON_EVERY_DEVICE("an unrolled recurrence in one pass keeps 65,536 steps of slow decay") {
  USE_DEVICE();
  kernels<float> k = *test::tested_device;
  k.pass_lanes = 0;
  k.pass_for_heads = true;
  struct slow final {
    const char* what;
    double a_step, spike, fastest;
    int states;
  };
  // A decay a step of 1e-6, 1e-4 and 200 nats in all: a state that is rounded at every step misses 1e-5 by far. Also
  // where a token now and then forgets more, and beside states that forget at once.
  const slow kinds[] = {{"1e-6", 1e-6, 1e-6, 1, 3},
                        {"1e-4", 1e-4, 1e-4, 1, 3},
                        {"200 nats", 200.0 / 65536, 200.0 / 65536, 1, 3},
                        {"1e-5 with spikes", 1e-5, 1e-3, 1, 3},
                        {"1e-5 beside others", 1e-5, 1e-5, 1e6, 8},
                        {"1e-6 with spikes beside others", 1e-6, 1e-3, 1e5, 8}};
  const declared& d = forms[1];
  for (const slow& s : kinds) {
    CAPTURE(s.what);
    const witness_sizes sizes{.tokens = 65536, .channels = 2, .states = s.states, .groups = 1};
    test::random_environment names(sizes, 12);
    names.draw(term_view(d.y));
    names.change("dt", [s](double v) { return std::log(std::expm1(v > 0.98 ? s.spike : s.a_step)); });
    names.change("A", [s](double v) { return v > 0.5 ? std::log(s.fastest) : 0.0; });
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

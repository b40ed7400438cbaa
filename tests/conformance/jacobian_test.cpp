// The true derivative of every registered architecture's attention, on random mixers in double: against central
// differences, against its own transpose, the split into the implicit attention and paths, gradients of all parameters,
// and second derivatives.
#include <doctest/doctest.h>

#include <alphaform/backends/mixer_derivative.hpp>
#include <alphaform/backends/parallel.hpp>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

using test::as_stream;
using test::random_mixer;
using numbers = std::vector<double>;

const kernels<double>& backend = reference_kernels();

// The smallest that fills a filter; over one block of channels; over one block of tokens.
constexpr witness_sizes all_sizes[] = {{5, 2, 3, 2, 2, 4, 2}, {3, 2, 18, 4, 3, 4, 1}, {67, 1, 2, 2, 2, 2, 1}};

/// Calls f(mixer, derivative of its stabilised attention).
template <class F>
void for_every_mixer(F f) {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const bound_derivatives formula = derivatives_of(stabilised(a.attention), {.paths = true, .parameters = true});
    for (const witness_sizes& sizes : all_sizes) {
      CAPTURE(sizes.tokens);
      const random_mixer m(a, sizes, 21);
      true_derivative<double> d(formula, m.bound(backend), backend);
      f(m, d);
    }
  }
}

tensor<double> random_like(const extents& size, std::string_view name) {
  const tensor<double> x = arena<double>(backend).make(size);
  for (std::size_t k = 0; k < volume(size); ++k)
    x.v.data[k] = reference::uniform(name, static_cast<Eigen::Index>(k), 3, 22);
  return x;
}
numbers of(const tensor<double>& x) { return {x.v.data, x.v.data + volume(x.v.size)}; }
numbers sum(const numbers& a, const numbers& b, double factor) {
  numbers y = a;
  for (std::size_t k = 0; k < y.size(); ++k) y[k] += factor * b[k];
  return y;
}
double largest(const numbers& a) {
  double most = 0;
  for (const double v : a) most = std::max(most, std::isnan(v) ? HUGE_VAL : std::abs(v));
  return most;
}
/// max |a - b| over max |b|
double miss(const numbers& a, const numbers& b) {
  REQUIRE(a.size() == b.size());
  const double scale = largest(b);
  return largest(sum(a, b, -1)) / (scale == 0 ? 1 : scale);
}
double dot(const numbers& a, const numbers& b) {
  double s = 0;
  for (std::size_t k = 0; k < a.size(); ++k) s += a[k] * b[k];
  return s;
}

/// The mixer's output with one of its names moved.
numbers output_at(random_mixer m, const std::string& name, const numbers& direction, double by) {
  std::size_t at = 0;
  m.change(name, [&](double v) { return v + by * direction[at++]; });
  return of(m.on(backend).output());
}
constexpr double step = 3e-5;
/// Central differences over one step and two, combined: off by some step^4 and by the rounding of y over the step.
/// (Norms of few small channels bend within 1e-3, so that a single difference would be off by 1e-5.)
template <class F>
numbers difference(F at) {
  const auto central = [&](double by) { return sum(at(by), at(-by), -1); };
  const numbers one = central(step), two = central(2 * step);
  return sum(sum(numbers(one.size(), 0), one, 8 / (12 * step)), two, -1 / (12 * step));
}
numbers difference(const random_mixer& m, const std::string& name, const numbers& direction) {
  return difference([&](double by) { return output_at(m, name, direction, by); });
}
constexpr double in_differences = 1e-6, rounding = 1e-12;

bool is_input(const bound_derivatives& f, const derivative_formula& d) { return f.g[d.variable].is<terms::input>(); }

TEST_CASE("J v is the central difference of y for every input") {
  for_every_mixer([](const random_mixer& m, true_derivative<double>& d) {
    for (const derivative_formula& f : d.formula().of) {
      if (!is_input(d.formula(), f)) continue;
      CAPTURE(f.name);
      const tensor<double> v = random_like(d.env().inputs.find(f.name)->second.v.size, "v");
      const numbers forward = of(d.forward(f.name, v));
      CHECK(largest(forward) > 1e-3);
      CHECK(miss(forward, difference(m, std::string(f.name), of(v))) <= in_differences);
    }
  });
}

TEST_CASE("<g, J v> = <J' g, v> and the transpose by the rules is the transpose by the engine") {
  constexpr scheme transposing = only(rule_class::canonical, rule_class::adjoint);
  for_every_mixer([&](const random_mixer& m, true_derivative<double>& d) {
    const tensor<double> y = d.output(), g = random_like(y.v.size, "g");
    CHECK(miss(of(y), of(m.on(backend).output())) <= rounding);
    for (const derivative_formula& f : d.formula().of) {
      CAPTURE(f.name);
      const tensor<double> back = d.backward(f.name, g), v = random_like(back.v.size, "v");
      const numbers forward = of(d.forward(f.name, v));
      double scale = 0;
      for (std::size_t k = 0; k < forward.size(); ++k) scale += std::abs(forward[k] * g.v.data[k]);
      CHECK(std::abs(dot(forward, of(g)) - dot(of(back), of(v))) <= rounding * std::max(scale, 1e-3));
      if (!is_input(d.formula(), f)) continue;
      workspace w;
      const node_index J = w.take(d.formula().g, f.full);
      const node_index rewritten =
          exhaust(w, w.put(inferred(w, {.term = term_code<terms::adjoint>, .a = J})), transposing);
      workspace clean;
      const node_index transposed = clean.take(w, rewritten);
      CHECK(miss(of(engine<double>(clean, d.env(), backend).apply(transposed, g)), of(back)) <= rounding);
    }
  });
}

// More lanes than one window has at once at this many tokens: they are divided, between matrices where need be.
ON_EVERY_DEVICE("<g, J v> = <J' g, v> where lanes are divided, and float32 agrees with double") {
  USE_DEVICE();
  constexpr witness_sizes sizes{
      .tokens = 260, .heads = 2, .channels = 130, .states = 4, .ranks = 2, .taps = 4, .groups = 1};
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const bound_derivatives formula = derivatives_of(stabilised(a.attention));
    const random_mixer m = random_mixer(a, sizes, 23).slow().rounded();
    true_derivative<double> d(formula, m.bound(backend), backend);
    true_derivative<float> single_precision(formula, m.bound(Device::all()), Device::all());
    const tensor<double> y = d.output(), g = random_like(y.v.size, "g");
    std::vector<float> rounded(volume(y.v.size));
    for (std::size_t k = 0; k < rounded.size(); ++k) g.v.data[k] = rounded[k] = static_cast<float>(g.v.data[k]);
    const tensor<float> g_float = stored(rounded, y.v.size, Device::all());
    for (const derivative_formula& f : formula.of) {
      CAPTURE(f.name);
      const tensor<double> back = d.backward(f.name, g), v = random_like(back.v.size, "v");
      const numbers forward = of(d.forward(f.name, v));
      double scale = 0;
      for (std::size_t k = 0; k < forward.size(); ++k) scale += std::abs(forward[k] * g.v.data[k]);
      CHECK(std::abs(dot(forward, of(g)) - dot(of(back), of(v))) <= rounding * std::max(scale, 1e-3));
      const std::vector<float> found = numbers_of(single_precision.backward(f.name, g_float));
      const numbers wide(found.begin(), found.end());
      CHECK(miss(wide, of(back)) <= 2e-5);  // float32: some hundred roundings of 6e-8 add up
    }
  }
}

TEST_CASE("a gradient is the same bit for bit with any number of threads") {
  const std::size_t before = threads();
  for (const std::string_view name : {"mamba", "mamba2", "griffin", "gla"}) {
    CAPTURE(name);
    const architecture& a = find_architecture(name);
    const bound_derivatives formula = derivatives_of(stabilised(a.attention));
    const random_mixer m = random_mixer(a, {.tokens = 260, .heads = 2, .channels = 130, .states = 4, .groups = 1}, 23);
    const auto gradient = [&](std::size_t count) {
      use_threads(count);
      true_derivative<float> d(formula, m.bound(cpu_kernels()), cpu_kernels());
      const tensor<float> back = d.backward("x", d.output());
      return std::vector<float>(back.v.data, back.v.data + volume(back.v.size));
    };
    const std::vector<float> one = gradient(1);
    for (const std::size_t count : std::initializer_list<std::size_t>{2, 3, 7}) CHECK(gradient(count) == one);
  }
  use_threads(before);
}

TEST_CASE("J is the implicit attention and the paths through its controls") {
  for_every_mixer([](const random_mixer& m, true_derivative<double>& d) {
    const derivative_formula& f = d.formula().with_respect_to(value_input);
    REQUIRE(f.implicit != absent);
    const tensor<double> v = random_like(d.env().inputs.find(value_input)->second.v.size, "v");
    numbers total = of(d.forward(f, f.implicit, v));
    CHECK(miss(total, of(m.on(backend).apply(v))) <= rounding);
    for (const derivative_formula::path& p : f.paths) {
      CHECK(p.control != absent);
      total = sum(total, of(d.forward(f, p.operation, v)), 1);
    }
    CHECK(miss(total, of(d.forward(value_input, v))) <= rounding);
  });
}

TEST_CASE("gradients of every parameter are central differences of <g, y>") {
  for_every_mixer([](random_mixer m, true_derivative<double>& at_small_epsilon) {
    for (const derivative_formula& f : at_small_epsilon.formula().of)  // far enough from 0 to be moved
      if (f.name.find("eps") != f.name.npos) m.set(std::string(f.name), 0.3);
    true_derivative<double> d(at_small_epsilon.formula(), m.bound(backend), backend);
    const tensor<double> g = random_like(d.output().v.size, "g");
    for (const derivative_formula& f : d.formula().of) {
      if (is_input(d.formula(), f)) continue;
      const std::string name(f.name);
      CAPTURE(name);
      const numbers found = d.gradient(name, g);
      REQUIRE(found.size() == m.numbers(name).size());
      // Along the gradient, and along some other direction.
      for (const bool along : {true, false}) {
        numbers direction = found;
        const double length = std::max(largest(found), 1e-9);
        for (std::size_t k = 0; k < direction.size(); ++k)
          direction[k] =
              along ? found[k] / length : reference::uniform("direction", static_cast<Eigen::Index>(k), 4, 23);
        const numbers y = difference(m, name, direction);
        double scale = 0;
        for (std::size_t k = 0; k < y.size(); ++k) scale += std::abs(y[k] * g.v.data[k]);
        CHECK(std::abs(dot(found, direction) - dot(of(g), y)) <= in_differences * scale);
      }
    }
  });
}

/// An expression of one input, by the engine.
numbers value_of(const expr& e, environment<double> env, const std::string& input, const tensor<double>& x) {
  env.inputs = {{input, x}};
  const bound_derivatives f = derivatives_of(e);
  return of(true_derivative<double>(f, env, backend).output());
}
tensor<double> like(const tensor<double>& x, const numbers& values) {
  const tensor<double> y = arena<double>(backend).make(x.v.size);
  std::copy(values.begin(), values.end(), y.v.data);
  return y;
}

/// No function and no product of streams in it.
bool is_affine(const expr& e) {
  return !any_of(e.g, e.root, [](const node& n) { return n.is<terms::function>() || n.is<terms::times>(); });
}

TEST_CASE("the derivative of a whole mixer is the central difference of its output and H_u is output H x") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    constexpr witness_sizes sizes{17, 2, 3, 4, 2, 4, 2};
    test::random_environment names(sizes, 25);
    names.draw(a.attention);
    for (const projection& p : a.inputs) names.draw(p.of_u);
    environment<double> env = names.bound(backend);
    // The output gets the heads of y side by side.
    const int channels = static_cast<int>(random_mixer(a, sizes, 25).channels());
    env.parameters.merge(
        test::random_environment({17, 1, channels, 4, 2, 4, 1}, 25).draw(a.output).bound(backend).parameters);
    const tensor<double> u = env.inputs.find("u")->second, v = random_like(u.v.size, "v");
    environment<double> at_u = env;
    env.inputs.clear();
    for (const shared_input& other : a.shared)
      env.inputs[std::string(other.input)] = at_u.inputs.at(std::string(other.input));
    const mixer_formula formula = derivatives_of(a);
    const auto moved = [&](double by) {
      return of(mixer_derivative<double>(formula, env, like(u, sum(of(u), of(v), by)), backend).output());
    };
    mixer_derivative<double> d(formula, env, u, backend);
    const numbers expected = difference(moved);
    const tensor<double> g = random_like(d.output().v.size, "g");
    const numbers forward = of(d.forward(v)), implicit = of(d.implicit_forward(v));
    CHECK(miss(forward, expected) <= in_differences);
    const auto check_transpose = [&](const numbers& there, const numbers& back) {
      double scale = 0;
      for (std::size_t k = 0; k < there.size(); ++k) scale += std::abs(there[k] * g.v.data[k]);
      CHECK(std::abs(dot(there, of(g)) - dot(back, of(v))) <= rounding * scale);
    };
    check_transpose(forward, of(d.backward(g)));
    check_transpose(implicit, of(d.implicit_backward(g)));

    // Where output and x are affine the difference of two values is exact, however far apart they are.
    bool affine = is_affine(a.output);
    const auto change = [&](auto at, bool exact) { return exact ? sum(at(1), at(0), -1) : difference(at); };
    numbers x_of_v;
    for (const projection& p : a.inputs) {
      const std::string input(p.input);
      if (p.input == value_input) {
        affine = affine && is_affine(p.of_u);
        x_of_v = change([&](double by) { return value_of(p.of_u, env, "u", like(u, sum(of(u), of(v), by))); },
                        is_affine(p.of_u));
      }
      at_u.inputs[input] = like(at_u.inputs[input], value_of(p.of_u, env, "u", u));
    }
    const bound_formula H = formula_of(a.attention);
    implicit_attention<double> attention(H, at_u, backend);
    const numbers y = of(attention.output()), Hx = of(attention.apply(like(attention.x(), x_of_v)));
    const numbers through_output = change(
        [&](double by) {
          return value_of(a.output, env, "y", heads_side_by_side(like(attention.x(), sum(y, Hx, by))));
        },
        is_affine(a.output));
    CHECK(largest(implicit) > 1e-3);
    CHECK(miss(implicit, through_output) <= (affine ? rounding : in_differences));
  }
}

TEST_CASE("the derivative of J v along w is the central difference of J v") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    if (a.name == "attention") continue;  // its second derivative has more subterms than a graph holds
    const bound_derivatives first = derivatives_of(stabilised(a.attention));
    const random_mixer m(a, {17, 2, 3, 4, 2, 4, 1}, 24);
    const environment<double> env = m.bound(backend);
    double largest_second = 0;
    for (const derivative_formula& by : first.of) {
      CAPTURE(by.name);
      // J v as a stream of its own, with v an input, differentiated once more.
      workspace g = first.g;
      const node_index direction = g.put({.term = term_code<terms::input>, .to = g[by.variable].to, .id = "direction"});
      const node_index Jv = g.put(inferred(g, {.term = term_code<terms::applied>, .a = by.full, .b = direction}));
      const bound_derivatives second = derivatives_of({g, Jv});
      environment<double> there = env;
      const tensor<double> v = random_like(env.inputs.find(by.name)->second.v.size, "v");
      there.inputs["direction"] = v;
      true_derivative<double> d(second, there, backend);
      for (const derivative_formula& and_by : first.of) {
        const std::string name(and_by.name);
        CAPTURE(name);
        const tensor<double> at = env.inputs.find(name)->second, w = random_like(at.v.size, "w");
        const auto moved = [&](double by_much) {
          environment<double> elsewhere = env;
          const tensor<double> x = random_like(at.v.size, "");
          const numbers values = sum(of(at), of(w), by_much);
          std::copy(values.begin(), values.end(), x.v.data);
          elsewhere.inputs[name] = x;
          return of(true_derivative<double>(first, elsewhere, backend).forward(by.name, v));
        };
        const numbers expected = difference(moved);
        const auto has = [&](const derivative_formula& f) { return f.name == name; };
        if (std::none_of(second.of.begin(), second.of.end(), has)) {
          CHECK(largest(expected) == 0);
          continue;
        }
        const numbers found = of(d.forward(name, w));
        CHECK(largest(sum(found, expected, -1)) <= 1e-5 * std::max(largest(expected), 1e-3));
        largest_second = std::max(largest_second, largest(found));
      }
      const tensor<double> w = random_like(v.v.size, "w");
      CHECK(miss(of(d.forward("direction", w)), of(true_derivative<double>(first, env, backend).forward(by.name, w))) <=
            rounding);
    }
    // Where y is linear in all inputs, as of LRU and S5, there is no second derivative.
    const bool curved = std::any_of(first.of.begin(), first.of.end(), [&](const derivative_formula& f) {
      return any_of(first.g, f.full, [](const node& n) { return n.is<terms::input>(); });
    });
    CHECK((curved ? largest_second > 1e-3 : largest_second == 0));
  }
}

// ---- names in several places, and refusals

constexpr wanted_derivatives of_parameters{.parameters = true};

/// The sentence with which f is refused.
template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const user_error& e) {
    return e.what();
  }
  return "not refused";
}
bool has(const std::string& sentence, std::string_view words) { return sentence.find(words) != sentence.npos; }

TEST_CASE("a parameter that is a matrix in one place and a stream in another has the gradient of both places") {
  // y = sum over states of w * W x: w [C, N] and W [N, C] are the same numbers, for as many channels as states.
  constexpr auto w = param<"w", chan | state>;
  const stream<state> Wx{build::with<terms::applied>(build::mix(w.e, state, chan), input<"x">.e)};
  const expr y = (contract<state> * (w * Wx)).e;
  test::random_environment names({5, 1, 3, 3, 2, 4}, 31);
  names.draw(y);
  const bound_derivatives f = derivatives_of(y, of_parameters);
  CHECK(f.all_of("w").size() == 2);
  true_derivative<double> d(f, names.bound(backend), backend);
  const tensor<double> g = random_like(d.output().v.size, "g");
  const numbers found = d.gradient("w", g);
  REQUIRE(found.size() == 9);
  for (std::size_t k = 0; k < found.size(); ++k) {
    const auto moved = [&](double by) {
      test::random_environment there = names;
      std::size_t at = 0;
      there.change("w", [&](double v) { return at++ == k ? v + by : v; });
      return dot(of(g), of(true_derivative<double>(f, there.bound(backend), backend).output()));
    };
    CHECK(std::abs(found[k] - (moved(step) - moved(-step)) / (2 * step)) <= in_differences);
  }
  CHECK(largest(found) > 1e-3);
  CHECK(has(refusal([&] { d.forward("w", g); }), "'w' occurs with several axes"));
  CHECK(has(refusal([&] { d.backward("w", g); }), "'w' occurs with several axes"));
}

TEST_CASE("a parameter that is somewhere a square matrix or an order has no derivative") {
  const auto check = [](const expr& y, std::string_view name) {
    const bound_derivatives f = derivatives_of(y, of_parameters);
    true_derivative<double> d(f, test::random_environment({5, 1, 3, 3, 2, 4}, 31).draw(input<"x">.e).bound(backend),
                              backend);
    const tensor<double> g = random_like(stream_extents(5, 3), "g");
    CHECK(has(refusal([&] { f.with_respect_to(name); }), "a square matrix or an order"));
    CHECK(has(refusal([&] { d.gradient(name, g); }), "a square matrix or an order"));
    CHECK(has(refusal([&] { f.with_respect_to("other"); }), "there are those to 'x'"));
  };
  const expr square = build::mix(param<"w">.e, chan, chan);
  check(build::with<terms::applied>(build::with<terms::product>(diag(param<"w">).e, square), input<"x">.e), "w");
  check((permute<"w"> * (diag(param<"w">) * input<"x">)).e, "w");
}

TEST_CASE("a mixer whose value path is refused, or that has none, has no implicit attention but a derivative") {
  static constexpr projection from_x[] = {{"x", input<"u">.e}}, from_z[] = {{"z", input<"u">.e}};
  const auto check = [](std::span<const projection> inputs, const expr& attention, std::string_view words) {
    architecture a{};
    a.inputs = inputs;
    a.attention = attention;
    a.output = input<"y">.e;
    const mixer_formula f = derivatives_of(a);
    const tensor<double> u = random_like(stream_extents(5, 3), "u"), v = random_like(u.v.size, "v");
    mixer_derivative<double> d(f, {}, u, backend);
    const numbers forward = of(d.forward(v)), value = of(u);
    for (std::size_t k = 0; k < forward.size(); ++k)
      CHECK(forward[k] == doctest::Approx(std::exp(value[k]) * v.v.data[k]));
    CHECK(has(refusal([&] { d.implicit_forward(v); }), words));
    CHECK(has(refusal([&] { d.implicit_backward(v); }), words));
  };
  check(from_x, exp(input<"x">).e, "its value path from 'x' is refused");
  check(from_z, exp(input<"z">).e, "it has no input 'x'");
}

TEST_CASE("a Scan whose transition mixes tokens is refused, forward and backward") {
  const expr y = build::with<terms::applied>(build::with<terms::scan>(delay.e), input<"x">.e);
  const bound_derivatives f = derivatives_of(y);
  const tensor<double> x = random_like(stream_extents(5, 3), "x");
  environment<double> env;
  env.inputs["x"] = x;
  true_derivative<double> d(f, env, backend);
  CHECK(has(refusal([&] { d.output(); }), "this one mixes tokens"));
  CHECK(has(refusal([&] { d.forward("x", x); }), "this one mixes tokens"));
  CHECK(has(refusal([&] { d.backward("x", x); }), "this one mixes tokens"));
}

}  // namespace
}  // namespace alphaform

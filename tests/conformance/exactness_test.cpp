// Cases in which an evaluator that broadcasts silently would still give plausible numbers: means over streams of
// another width than the inputs, keys that are parameters, operators given in place of H, operands and inputs of the
// wrong length.
#include <doctest/doctest.h>

#include <alphaform/alphaform.hpp>
#include <cmath>

namespace alphaform::test {
namespace {

const kernels<double>& backend = reference_kernels();

tensor<double> stream(const std::vector<double>& numbers, std::size_t tokens, std::size_t channels) {
  return stream_of<double, double>(numbers, tokens, channels, backend);
}
parameter<double> parameter_of(std::vector<std::size_t> shape, std::vector<double> numbers) {
  auto kept = std::make_shared<std::vector<double>>(std::move(numbers));
  return {std::move(shape), kept->data(), kept};
}
tensor<double> value_of(const expr& e, const environment<double>& env) {
  workspace g;
  const node_index root = g.take(e.g, e.root);
  return engine<double>(g, env, backend).value(root);
}

TEST_CASE("a norm counts the channels of the stream that it norms") {
  environment<double> env;
  env.inputs["x"] = stream({1, 2}, 1, 2);
  env.parameters["up"] = parameter_of({3, 2}, {1, 0, 0, 1, 1, 1});  // to 1, 2, 3
  env.parameters["w"] = parameter_of({3}, {1, 1, 1});
  env.parameters["b"] = parameter_of({3}, {0, 0, 0});
  env.parameters["epsilon"] = parameter_of({}, {0});
  const tensor<double> rms = value_of(norm<"w", "epsilon">(linear<"up">(input<"x">)).e, env);
  const tensor<double> layer = value_of(norm<"w", "b", "epsilon">(linear<"up">(input<"x">)).e, env);
  for (int c = 0; c < 3; ++c) {
    CHECK(rms.v.data[c] == doctest::Approx((c + 1) / std::sqrt(14.0 / 3)).epsilon(1e-14));
    CHECK(layer.v.data[c] == doctest::Approx((c - 1) / std::sqrt(2.0 / 3)).epsilon(1e-14));
  }
}

constexpr auto weighted = unrolled(decay(exp(param<"w">)), write(exp(param<"k">)), bonus(exp(param<"u">)));

TEST_CASE("RowNorm with a key that is the same for every token is a decaying mean") {
  environment<double> env;
  env.inputs["x"] = stream({1, 2, 3, 4}, 4, 1);
  env.parameters["w"] = parameter_of({1}, {-0.5});
  env.parameters["k"] = parameter_of({1}, {90});
  env.parameters["u"] = parameter_of({1}, {0.3});
  const bound_formula formula = formula_of((rownorm(weighted) * input<"x">).e);
  implicit_attention<double> a(formula, env, backend);
  const tensor<double> row = a.row(3);
  const double weights[]{std::exp(-1.0), std::exp(-0.5), 1, std::exp(0.3)};
  for (int s = 0; s < 4; ++s)
    CHECK(row.v.data[s] ==
          doctest::Approx(weights[s] / (weights[0] + weights[1] + weights[2] + weights[3])).epsilon(1e-14));
}

TEST_CASE("an operator in place of H gives the same matrix by rows and by blocks of columns") {
  constexpr std::size_t tokens = 70;  // more than one block
  std::vector<double> x, k;
  for (std::size_t t = 0; t < tokens; ++t) {
    x.push_back(std::sin(1.0 + static_cast<double>(t)));
    k.push_back(std::cos(2.0 * static_cast<double>(t)));
  }
  environment<double> env;
  env.inputs["x"] = stream(x, tokens, 1);
  env.inputs["k"] = stream(k, tokens, 1);
  constexpr auto key = input<"k">;
  constexpr auto mean = rownorm(id + scan(sigmoid(key)));
  const bound_formula formula = formula_of((gate(key) * input<"x">).e, mean.e);
  implicit_attention<double> a(formula, env, backend);
  const tensor<double> m = a.matrix(0);
  for (const std::size_t i : {std::size_t{0}, std::size_t{65}, tokens - 1}) {
    const tensor<double> row = a.row(i);
    double sum = 0;
    for (std::size_t s = 0; s < tokens; ++s) {
      CHECK(m.v.data[i * tokens + s] == doctest::Approx(row.v.data[s]).epsilon(1e-12));
      sum += row.v.data[s];
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-12));
  }
}

TEST_CASE("an operator that looks ahead has the same matrix by rows by columns and by blocks of columns") {
  constexpr std::size_t tokens = 70;  // more than one block
  std::vector<double> x, k;
  for (std::size_t t = 0; t < tokens; ++t) {
    x.push_back(std::sin(1.0 + static_cast<double>(t)));
    k.push_back(std::cos(2.0 * static_cast<double>(t)));
  }
  environment<double> env;
  env.inputs["x"] = stream(x, tokens, 1);
  env.inputs["k"] = stream(k, tokens, 1);
  constexpr auto decaying = scan(sigmoid(input<"k">));
  const auto check = [&](const bound_formula& formula) {
    implicit_attention<double> a(formula, env, backend);
    const tensor<double> m = a.matrix(0), mean = a.reduced_matrix(reduction::mean);
    double above = 0;
    for (const std::size_t i : {std::size_t{0}, std::size_t{65}, tokens - 1}) {
      const tensor<double> row = a.row(i), column = a.column(i);
      for (std::size_t s = 0; s < tokens; ++s) {
        CHECK(m.v.data[i * tokens + s] == doctest::Approx(row.v.data[s]).epsilon(1e-12));
        CHECK(m.v.data[s * tokens + i] == doctest::Approx(column.v.data[s]).epsilon(1e-12));
        CHECK(mean.v.data[i * tokens + s] == doctest::Approx(row.v.data[s]).epsilon(1e-12));
        if (s > i) above += std::abs(row.v.data[s]);
      }
    }
    CHECK(above > 1);
    CHECK(a.plan({query::kind::matrix, 0}).peak_bytes > 0);
  };
  check(formula_of(((decaying + reverse * decaying * reverse) * input<"x">).e));
  check(formula_of((adjoint(decaying) * input<"x">).e));
}

TEST_CASE("a refusal ends with its reason") {
  std::string said;
  try {
    formula_of(sigmoid(input<"x">).e);
  } catch (const user_error& e) {
    said = e.what();
  }
  CHECK(said ==
        "no implicit attention: on the value path, σ(x) is neither linear nor a known activation. sigma(x) is no "
        "bounded factor times x, since it is not 0 at 0: stop the value path in front of it, or gate.");
}

TEST_CASE("what does not fit together is refused") {
  const auto refuses = [](auto f, const std::string& word) {
    std::string said;
    try {
      f();
    } catch (const user_error& e) {
      said = e.what();
    }
    CHECK_MESSAGE(said.find(word) != std::string::npos, said);
  };
  environment<double> env;
  env.inputs["x"] = stream({1, 2, 3, 4}, 4, 1);
  env.inputs["k"] = stream({1, 2, 3, 4}, 4, 1);
  const bound_formula formula = formula_of((gate(input<"k">) * input<"x">).e);
  implicit_attention<double> a(formula, env, backend);
  refuses([&] { a.apply(stream({1, 2}, 2, 1)); }, "2 tokens");
  refuses([&] { a.row(4); }, "tokens 0 to 3");
  refuses([&] { a.plan({query::kind::matrix, 1}); }, "channels 0 to 0");
  refuses([] { formula_of(sigmoid(input<"x">).e); }, "σ(x) is neither linear");
  refuses([] { formula_of((gate(input<"x">) * input<"k">).e); }, "H is 0");
  env.inputs["k"] = stream({1}, 1, 1);
  refuses([&] { implicit_attention<double>(formula, env, backend); }, "1 tokens");
  env.inputs.erase("x");
  refuses([&] { implicit_attention<double>(formula, env, backend); }, "'x'");
  refuses([&] { value_of((contract<state> * (expand<state> * input<"k">)).e, env); }, "only repeated");
}

}  // namespace
}  // namespace alphaform::test

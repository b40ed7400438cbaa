// Every term, alone and inside random expressions, on the engine against the dense witness in double: streams,
// operators and their transposes, and operators within windows of tokens and channels.
#include <doctest/doctest.h>

#include <alphaform/algebra/print.hpp>
#include <deque>
#include <string>

#include "../conformance/random_environment.hpp"
#include "../rules/random_terms.hpp"

namespace alphaform {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::random_environment;

/// Small ones; with an axis of one entry each; one token.
constexpr witness_sizes all_sizes[] = {{5, 2, 3, 2, 2, 3}, {4, 1, 2, 1, 3, 1}, {1, 2, 2, 2, 2, 2}, {3, 2, 1, 2, 1, 4}};

constexpr axes all_axes = head | chan | state | rank | tap | part;

/// A term whose names say their axes, so that one name has one shape.
struct named_term final {
  workspace g{};
  node_index root = absent, lengths = absent;  // an input with every axis says how long each is
  std::deque<std::string> names{};

  named_term(const workspace& from, node_index i) {
    std::vector<node_index> at(from.size, absent);
    for (const node_index k : parts_of({from, i})) {
      node n = from[k];
      if (n.a != absent) n.a = at[n.a] == absent ? g.take(from, n.a) : at[n.a];
      if (n.b != absent) n.b = at[n.b];
      if (n.is<terms::input>() || n.is<terms::parameter>())
        n.id = names.emplace_back(std::string(n.id) + std::to_string(n.to.bits) + "_" + std::to_string(n.from.bits));
      at[k] = g.put(n);
    }
    root = at[i];
    lengths = g.put({.term = term_code<terms::input>, .to = all_axes, .id = "lengths"});
  }
  named_term(const named_term&) = delete;
  named_term& operator=(const named_term&) = delete;
};

/// The numbers of a tensor in the witness's flattened space; what is only repeated is repeated.
template <class T>
VectorXd flat(const tensor<T>& x, axes has, const reference::dense_space& space, Index tokens) {
  VectorXd y(tokens * space.width(has));
  for (Index t = 0; t < tokens; ++t)
    for (Index k = 0; k < space.width(has); ++k) {
      std::size_t at = static_cast<std::size_t>(t) * x.v.step(axis::token);
      for (const axis_letter& l : axis_letters)
        if (has.contains(l.axis)) at += static_cast<std::size_t>(space.place(k, has, l.axis)) * x.v.step(slot(l.axis));
      y[t * space.width(has) + k] = static_cast<double>(x.v.data[at]);
    }
  return y;
}
template <class T>
tensor<T> as_tensor(const VectorXd& x, axes has, const reference::dense_space& space, Index tokens,
                    const kernels<T>& backend) {
  extents size = single;
  at(size, axis::token) = static_cast<std::size_t>(tokens);
  for (const axis_letter& l : axis_letters)
    if (has.contains(l.axis)) at(size, slot(l.axis)) = static_cast<std::size_t>(space.length(l.axis));
  const tensor<T> y = arena<T>(backend).make(size);
  REQUIRE(volume(size) == static_cast<std::size_t>(x.size()));
  std::transform(x.data(), x.data() + x.size(), y.v.data, [](double v) { return static_cast<T>(v); });
  return y;
}
/// Numbers that float32 has too.
VectorXd random_vector(Index n, const char* name) {
  return VectorXd::NullaryExpr(
      n, [&](Index k) { return static_cast<double>(static_cast<float>(reference::uniform(name, k, 7, 31))); });
}

/// Sums of some hundred products of numbers of order one, relative to the largest; quotients by row sums lose two
/// digits more in float32.
template <class T>
constexpr double rounding = std::is_same_v<T, double> ? 1e-12 : 1e-3;
/// Larger operators have lost their digits to cancellation.
template <class T>
constexpr double largest = std::is_same_v<T, double> ? 1e6 : 1e2;

template <class T>
bool close(const VectorXd& a, const VectorXd& b) {
  REQUIRE(a.size() == b.size());
  return (a - b).cwiseAbs().maxCoeff() <= rounding<T> * std::max(1.0, b.cwiseAbs().maxCoeff());
}

/// An operator beside its dense matrix, on whole streams and within windows.
template <class T>
class comparison final {
 public:
  comparison(const named_term& t, axes in, const MatrixXd& dense, const witness_sizes& sizes, const kernels<T>& backend)
      : t_(t),
        in_(in),
        out_(after(effect_of(t.g, t.root), in)),
        dense_(dense),
        space_{sizes},
        backend_(backend),
        env_(random_environment(sizes, 32).draw({t.g, t.root}).draw({t.g, t.lengths}).bound(backend)),
        engine_(t.g, env_, backend) {
    REQUIRE(dense.rows() == tokens_ * rows_);
    REQUIRE(dense.cols() == tokens_ * columns_);
  }

  void on_streams() {
    CHECK(close<T>(flat(engine_.apply(t_.root, stream(x_, in_)), out_, space_, tokens_), dense_ * x_));
    CHECK(close<T>(flat(engine_.adjoint(t_.root, stream(g_, out_)), in_, space_, tokens_), dense_.transpose() * g_));
    // What is the same for every token, or along every axis, is stored once.
    const VectorXd token = random_vector(columns_, "x"), one = random_vector(1, "x");
    const VectorXd every_token = token.replicate(tokens_, 1), everywhere = one.replicate(tokens_ * columns_, 1);
    const auto made = [&](const VectorXd& x, axes has) {
      return flat(engine_.apply(t_.root, as_tensor(x, has, space_, 1, backend_)), out_, space_, tokens_);
    };
    CHECK(close<T>(made(token, in_), dense_ * every_token));
    CHECK(close<T>(made(one, no_axes), dense_ * everywhere));
  }
  void on_later_tokens() {
    if (!engine_.causal(t_.root)) return;
    for (Index s = 1; s < tokens_; ++s) {
      const Index left = tokens_ - s;
      const window w{static_cast<std::size_t>(s), static_cast<std::size_t>(tokens_)};
      const MatrixXd part = dense_.bottomRightCorner(left * rows_, left * columns_);
      const VectorXd x = x_.tail(left * columns_), g = g_.tail(left * rows_);
      CHECK(close<T>(flat(engine_.apply(t_.root, w.of(stream(x_, in_)), w), out_, space_, left), part * x));
      CHECK(
          close<T>(flat(engine_.adjoint(t_.root, w.of(stream(g_, out_)), w), in_, space_, left), part.transpose() * g));
    }
  }
  void on_single_channels() {
    if (!in_.contains(chan) || !out_.contains(chan) || !engine_.keeps_apart(t_.root, chan)) return;
    const tensor<T> all = stream(dense_ * x_, out_);
    for (std::size_t c = 0; c < all.v.of(axis::chan); ++c) {
      const window w{0, static_cast<std::size_t>(tokens_), c, c + 1};
      const tensor<T> part = engine_.apply(t_.root, w.of(stream(x_, in_)), w);
      CHECK(close<T>(flat(part, out_ - chan, space_, tokens_), flat(w.of(all), out_ - chan, space_, tokens_)));
    }
  }

 private:
  tensor<T> stream(const VectorXd& x, axes has) const { return as_tensor(x, has, space_, tokens_, backend_); }

  const named_term& t_;
  axes in_, out_;
  const MatrixXd& dense_;
  reference::dense_space space_;
  const kernels<T>& backend_;
  environment<T> env_;
  engine<T> engine_;
  Index tokens_ = space_.sizes.tokens, rows_ = space_.width(out_), columns_ = space_.width(in_);
  VectorXd x_ = random_vector(tokens_ * columns_, "x"), g_ = random_vector(tokens_ * rows_, "g");
};

/// Parameter vectors and sums over tokens have no place in a sequence: they are tried apart. A square matrix is a
/// parameter, not a function of one.
bool is_left_out(const workspace& g, node_index i) {
  return any_of(g, i, [&g](const node& n) {
    return n.is<terms::every_token>() || n.is<terms::over_tokens>() ||
           (n.is<terms::mix>() && n.from.touches(n.to) && !g[n.a].is<terms::parameter>());
  });
}

/// How often each term occurred in `count` random operators, all of which agree with the witness.
template <class T>
std::vector<int> try_operators(int count, const kernels<T>& backend) {
  std::vector<int> seen(term_table.size(), 0);
  int compared = 0;
  for (unsigned seed = 0; compared < count; ++seed) {
    const witness_sizes& sizes = all_sizes[seed % std::size(all_sizes)];
    workspace g;
    random_terms r(g, seed);
    taste t;
    t.depth = 1 + r.below(3);
    t.within_tokens = r.chance(8);
    const axes in = r.some_axes(), out = r.chance(3) ? r.some_axes() : in;
    node_index p = r.operation(in, out, t);
    if (t.within_tokens) p = r.with<terms::retimed>(p);
    if (r.chance(8)) p = r.with<terms::paths>(p, r.operation(in, out, t));
    if (is_left_out(g, p) || after(effect_of(g, p), in) != out) continue;
    const named_term term(g, p);
    const std::string text = print({term.g, term.root}, notation::text);
    CAPTURE(seed);
    CAPTURE(text);
    MatrixXd dense;
    try {
      dense = witness(sizes, 32).matrix({term.g, term.root}, in);
    } catch (const internal_error&) {
      continue;  // a term that no declaration can make
    }
    if (!dense.allFinite() || dense.cwiseAbs().maxCoeff() > largest<T>) continue;
    comparison<T> c(term, in, dense, sizes, backend);
    c.on_streams();
    c.on_later_tokens();
    c.on_single_channels();
    ++compared;
    any_of(g, p, [&](const node& n) {
      ++seen[n.term];
      return false;
    });
  }
  return seen;
}

TEST_CASE("random operators and their transposes are those of the dense witness whole and in windows") {
  const std::vector<int> seen = try_operators(1500, reference_kernels());
  constexpr std::array tried{term_code<terms::number>,
                             term_code<terms::held>,
                             term_code<terms::larger>,
                             term_code<terms::diag>,
                             term_code<terms::conv>,
                             term_code<terms::lags>,
                             term_code<terms::delay>,
                             term_code<terms::reverse>,
                             term_code<terms::permute>,
                             term_code<terms::mix>,
                             term_code<terms::expand>,
                             term_code<terms::contract>,
                             term_code<terms::embed>,
                             term_code<terms::real>,
                             term_code<terms::turn>,
                             term_code<terms::attend>,
                             term_code<terms::scan>,
                             term_code<terms::rownorm>,
                             term_code<terms::bounded_rownorm>,
                             term_code<terms::adjoint>,
                             term_code<terms::retimed>,
                             term_code<terms::sum>,
                             term_code<terms::paths>,
                             term_code<terms::product>};
  for (const code c : tried) {
    CAPTURE(term_table[c].name);
    CHECK(seen[c] >= 10);
  }
}

TEST_CASE("random operators in float32 on the CPU are those of the dense witness") {
  try_operators(500, cpu_kernels());
}

TEST_CASE("random streams are those of the dense witness") {
  int compared = 0;
  for (unsigned seed = 0; compared < 500; ++seed) {
    const witness_sizes& sizes = all_sizes[seed % std::size(all_sizes)];
    workspace g;
    random_terms r(g, seed);
    const axes a = r.some_axes();
    const node_index s = r.stream(a, {.depth = 1 + r.below(4)});
    if (is_left_out(g, s)) continue;
    const named_term t(g, s);
    const std::string text = print({t.g, t.root}, notation::text);
    CAPTURE(seed);
    CAPTURE(text);
    const VectorXd y = witness(sizes, 32).value({t.g, t.root}, a);
    if (!y.allFinite() || y.cwiseAbs().maxCoeff() > largest<double>) continue;
    const environment<double> env =
        random_environment(sizes, 32).draw({t.g, t.root}).draw({t.g, t.lengths}).bound(reference_kernels());
    engine<double> e(t.g, env, reference_kernels());
    CHECK(close<double>(flat(e.value(t.root), a, {sizes}, sizes.tokens), y));
    ++compared;
  }
}

TEST_CASE("vectors for all tokens and sums over tokens are transposes of each other") {
  constexpr witness_sizes sizes{5, 2, 3, 2, 2, 3};
  const reference::dense_space space{sizes};
  for (const bool every : {true, false}) {
    // A vector is token 0's block to the witness, and a tensor of one token to the engine.
    workspace g;
    random_terms r(g, 3);
    const node_index input = r.leaf<terms::input>("s", chan);
    const node_index scaled = r.with<terms::diag>(r.call<functions::tanh>(input));
    const node_index p = every ? r.with<terms::product>(scaled, r.leaf<terms::every_token>())
                               : r.with<terms::product>(r.leaf<terms::over_tokens>(), scaled);
    const MatrixXd whole = witness(sizes, 32).matrix({g, p}, chan);
    const MatrixXd dense = every ? MatrixXd(whole.leftCols(3)) : MatrixXd(whole.topRows(3));
    const environment<double> env = random_environment(sizes, 32).draw({g, p}).bound(reference_kernels());
    engine<double> e(g, env, reference_kernels());
    const auto stream = [&](const VectorXd& x) { return as_tensor(x, chan, space, x.size() / 3, reference_kernels()); };
    const VectorXd x = random_vector(dense.cols(), "x"), y = random_vector(dense.rows(), "y");
    CHECK(close<double>(flat(e.apply(p, stream(x)), chan, space, dense.rows() / 3), dense * x));
    CHECK(close<double>(flat(e.adjoint(p, stream(y)), chan, space, dense.cols() / 3), dense.transpose() * y));
    CHECK_FALSE(e.causal(p));
    if (every) continue;
    // One token stored for all of them counts as often as there are tokens.
    const VectorXd same = random_vector(3, "x"), repeated = same.replicate(5, 1);
    CHECK(close<double>(flat(e.apply(p, stream(same)), chan, space, 1), dense * repeated));
  }
}

/// Softmax and zero rows on one backend.
template <class T>
void check_rows(const kernels<T>& backend) {
  constexpr std::size_t tokens = 7;
  workspace g;
  random_terms r(g, 4);
  const node_index q = r.leaf<terms::input>("q", state), k = r.leaf<terms::input>("k", state),
                   s = r.leaf<terms::input>("s", chan);
  const node_index softmax = r.with<terms::rownorm>(r.with<terms::attend>(q, k)),
                   derived = exhaust(g, softmax, only(rule_class::mathematical)),
                   gated = r.with<terms::rownorm>(r.with<terms::diag>(s));
  environment<T> env;
  extents keys = single;
  at(keys, axis::token) = tokens;
  at(keys, axis::state) = 2;
  for (const char* name : {"q", "k"}) {
    env.inputs[name] = arena<T>(backend).make(keys);
    for (std::size_t i = 0; i < 2 * tokens; ++i)
      env.inputs[name].v.data[i] = static_cast<T>(60 * std::sin(static_cast<double>(i * i) + (name[0] == 'q')));
  }
  const tensor<T> ones = arena<T>(backend).filled(stream_extents(tokens, 1), 1);
  env.inputs["s"] = arena<T>(backend).filled(stream_extents(tokens, 1), 2);
  env.inputs["s"].v.data[2] = 0;
  engine<T> e(g, env, backend);

  const T *query = env.inputs["q"].v.data + 2 * (tokens - 1), *key = env.inputs["k"].v.data;
  std::vector<double> logits;
  for (std::size_t j = 0; j < tokens; ++j)
    logits.push_back(static_cast<double>(query[0] * key[2 * j] + query[1] * key[2 * j + 1]));
  const double most = *std::max_element(logits.begin(), logits.end());
  REQUIRE(most > 720);  // exp overflows also in double
  double sum = 0;
  for (const double l : logits) sum += std::exp(l - most);
  const tensor<T> last = arena<T>(backend).filled(stream_extents(tokens, 1), 0);
  last.v.data[tokens - 1] = 1;
  for (const node_index p : {softmax, derived}) {
    const tensor<T> sums = e.apply(p, ones), weights = e.adjoint(p, last);
    for (std::size_t t = 0; t < tokens; ++t)
      CHECK(static_cast<double>(sums.v.data[t]) == doctest::Approx(1).epsilon(1e-6));
    for (std::size_t j = 0; j < tokens; ++j)
      CHECK(static_cast<double>(weights.v.data[j]) == doctest::Approx(std::exp(logits[j] - most) / sum).epsilon(1e-3));
  }
  const tensor<T> rows = e.apply(gated, ones);
  for (std::size_t t = 0; t < tokens; ++t) CHECK(rows.v.data[t] == (t == 2 ? 0 : 1));
}

TEST_CASE("rows of attention with logits of hundreds sum to one and rows without weight stay zero") {
  check_rows(reference_kernels());
  check_rows(cpu_kernels());
}

TEST_CASE("what cannot be evaluated is refused with a sentence") {
  const kernels<double>& backend = reference_kernels();
  workspace g;
  random_terms r(g, 5);
  const node_index order = r.with<terms::permute>(r.leaf<terms::parameter>("order")), back = r.leaf<terms::reverse>(),
                   up_and_down = r.with<terms::product>(r.leaf<terms::contract>({}, no_axes, state),
                                                        r.leaf<terms::expand>({}, state));
  r.leaf<terms::input>("x", chan);
  r.leaf<terms::input>("wide", state);
  r.leaf<terms::parameter>("wider", state);
  environment<double> env;
  const tensor<double> x = stream_of<double, double>(std::vector<double>{10, 11, 12}, 3, 1, backend);
  env.inputs["x"] = x;
  const auto bound = [](std::vector<double> numbers) {
    auto kept = std::make_shared<std::vector<double>>(std::move(numbers));
    return parameter<double>{{kept->size()}, kept->data(), kept};
  };
  const auto says = [&](node_index p, const std::string& what) {
    std::string said;
    try {
      engine<double>(g, env, backend).apply(p, x);
    } catch (const user_error& e) {
      said = e.what();
    }
    CHECK_MESSAGE(said.find(what) != std::string::npos, said);
  };
  says(order, "'order' is needed");
  for (const std::vector<double>& wrong : {std::vector<double>{0, 1, 1}, {0, 1, 3}, {0, 1.5, 2}, {-1, 1, 2}, {0, 1}}) {
    env.parameters["order"] = bound(wrong);
    says(order, "the order 'order'");
  }
  env.parameters["order"] = bound({2, 0, 1});
  const tensor<double> y = engine<double>(g, env, backend).apply(order, x);
  CHECK(std::vector<double>(y.v.data, y.v.data + 3) == std::vector<double>{12, 10, 11});

  says(up_and_down, "nothing says how often");
  extents states = single;
  at(states, axis::token) = 3;
  at(states, axis::state) = 4;
  env.inputs["wide"] = arena<double>(backend).filled(states, 1);
  CHECK(engine<double>(g, env, backend).apply(up_and_down, x).v.data[0] == 40);
  env.parameters["wider"] = bound({1, 1, 1, 1, 1});
  says(up_and_down, "4 entries in one place and 5 in another");

  CHECK_THROWS_AS(engine<double>(g, env, backend).apply(back, x.slice(axis::token, 1, 3), window{1, 3}),
                  internal_error);
  carried<double> carry;
  CHECK_THROWS_WITH_AS(engine<double>(g, env, backend, &carry).apply(back, x), doctest::Contains("whole text"),
                       user_error);
}

}  // namespace
}  // namespace alphaform

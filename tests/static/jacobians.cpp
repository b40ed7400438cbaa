// True derivatives and transposes, compared at compile time with what the product and chain rules give by hand. This
// file tests by compiling.
#include <alphaform/algebra/jacobian.hpp>
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
namespace {

constexpr auto x = input<"x">;
constexpr auto f = sigmoid(input<"f">), g = sigmoid(x);

template <class Expected>
constexpr bool is(const jacobian_terms& j, node_index term, const Expected& expected) {
  return normal(j.term(term)) == normal(expected.e);
}

// ---- a gate that the value itself controls: J = Diag(g) + Diag(x) Diag(g (1 - g))
namespace of_gate {
constexpr auto y = gate(g) * x;
constexpr auto J = jacobian(y.e);
static_assert(J.refused == absent && J.count == 1);
static_assert(is(J, J.implicit, diag(g)));
static_assert(is(J, J.paths[0].operation, diag(x) * diag(g * complement(g))));
static_assert(is(J, J.full, diag(g) + diag(x) * diag(g * complement(g))));
static_assert(J.term(J.paths[0].control) == g.e);
}  // namespace of_gate

// ---- a recurrence whose decay the value controls: through the decay, the state before and the recurrence itself
namespace of_recurrence {
constexpr auto y = scan(g) * x;
constexpr auto before = delay * (scan(g) * x);
constexpr auto J = jacobian(y.e);
static_assert(J.count == 1);
static_assert(is(J, J.implicit, scan(g)));
static_assert(is(J, J.paths[0].operation, scan(g) * diag(before) * diag(g * complement(g))));
}  // namespace of_recurrence

// ---- where nothing depends on the value, the true derivative is the implicit attention
namespace of_linear {
constexpr auto y = gate(silu(input<"z">)) * (scan(f) * (fir<"w"> * x + param<"b">));
constexpr auto J = jacobian(y.e);
static_assert(J.count == 0);
static_assert(normal(J.term(J.full)) == normal(J.term(J.implicit)));
// With respect to a parameter: repeated for every token, and on through the same operators.
constexpr auto by_bias = [] {
  workspace w;
  const node_index out = w.take(y.e.g, y.e.root);
  const node_index b = w.put(param<"b">.e.top());
  expr d;
  d.root = d.g.take(w, derivative_of(w, out, b));
  return d;
}();
static_assert(normal(by_bias) ==
              normal((gate(silu(input<"z">)) * scan(f) * op<no_axes, no_axes>{build::leaf<terms::every_token>()}).e));
}  // namespace of_linear

// ---- the derivative of a derivative: d/dx (x g(x)) v, differentiated once more
namespace twice {
constexpr auto y = gate(g) * x;
constexpr auto first = jacobian(y.e);
constexpr auto along_v = stream<chan>{[] {
  expr e;
  const node_index J = e.g.take(first.g, first.full), v = e.g.put(input<"v">.e.top());
  e.root = e.g.put(inferred(e.g, {.term = term_code<terms::applied>, .a = J, .b = v}));
  return e;
}()};
constexpr auto second = jacobian(along_v.e);
static_assert(second.refused == absent);
}  // namespace twice

// ---- transposes: the recurrence from the last token, with the decay of the token after
static_assert(normal(adjoint(scan(f))) == normal(reverse * scan(delay * (reverse * f)) * reverse));
static_assert(normal(adjoint(scan(exp(param<"w">)))) == normal(reverse * scan(exp(param<"w">)) * reverse));
static_assert(normal(adjoint(diag(f) * scan(f) * fir<"w">)) ==
              normal(reverse * fir<"w"> * scan(delay * (reverse * f)) * reverse * diag(f)));
static_assert(normal(adjoint(adjoint(diag(f) * delay))) == normal(diag(f) * delay));
static_assert(normal(adjoint(contract<state> * diag(input<"c", state>) * expand<state>)) ==
              normal(contract<state> * diag(input<"c", state>) * expand<state>));

// ---- the order of commuting factors does not matter, that of others does
constexpr auto w = diag(param<"w">);
constexpr auto token = diag(input<"t", no_axes>);
static_assert(normal(w * scan(f)) == normal(scan(f) * w));
static_assert(normal(w * fir<"k"> * delay) == normal(delay * w * fir<"k">));
static_assert(normal(token * contract<chan>) == normal(contract<chan> * token));
static_assert(!(normal(diag(f) * delay) == normal(delay * diag(f))));
static_assert(!(normal(token * delay) == normal(delay * token)));
static_assert(!(normal(w * contract<chan> * w) == normal(contract<chan> * w * w)));

}  // namespace
}  // namespace alphaform

// Recurrences given as a step: where a scan law follows from the derivative, and where it does not. This file tests by
// compiling.
#include <alphaform/algebra/composition.hpp>
#include <alphaform/algebra/layers.hpp>

namespace alphaform {
namespace {

constexpr auto z = sigmoid(input<"z">), candidate = input<"x">;

// ---- minGRU: h = (1 - z) h- + z x, gates from the token alone (Feng et al. 2024, Sec. 3.1)
constexpr auto as_step = recur([](auto h) { return gate(complement(z)) * h + gate(z) * candidate; });
constexpr auto as_scan = (scan(complement(z)) * diag(z)) * candidate;
static_assert(normal(as_step) == normal(as_scan));
static_assert(normal(derive(as_step).H()) == normal(scan(complement(z)) * diag(z)));

// ---- the same with plain products: a step has no value path, so nothing needs to say which factor is the gate
static_assert(normal(recur([](auto h) { return complement(z) * h + gate(z) * candidate; })) == normal(as_scan));

// ---- a delta rule: h = h - k (k h) b + k v b, a transition that is no Diag (Yang et al. 2024, Eq. 4)
constexpr auto k = input<"k", state>;
constexpr auto b = sigmoid(input<"b", no_axes>);
constexpr auto delta = recur<chan | state>([](auto h) {
  return h + diag(-k) * (expand<state> * (contract<state> * (diag(b) * (diag(k) * h)))) +
         diag(k) * (diag(b) * (expand<state> * input<"x">));
});
static_assert(delta.e.top().is<terms::applied>());
constexpr auto erase = diag(-k) * (expand<state> * (contract<state> * (diag(b) * diag(k))));
constexpr auto by_hand =
    scan(op<chan | state, chan | state>{(id + erase).e}) * (diag(k) * (diag(b) * (expand<state> * input<"x">)));
static_assert(normal(delta) == normal(by_hand));

// ---- GRU and LSTM: the gates read h-, so that the derivative of the step contains it
template <class Step>
constexpr bool has_scan_law(Step step) {
  return law_of_step(step(input<"h[t-1]">).e).holds();
}
static_assert(has_scan_law([](auto h) { return gate(complement(z)) * h + gate(z) * candidate; }));
static_assert(!has_scan_law([](auto h) {
  auto update = sigmoid(input<"z"> + linear<"U_z">(h));
  return complement(update) * h + update * tanh(candidate + linear<"U">(h));
}));
static_assert(!has_scan_law([](auto h) { return gate(sigmoid(input<"f"> + linear<"U_f">(h))) * h + candidate; }));
static_assert(!has_scan_law([](auto h) { return tanh(linear<"U">(h) + candidate); }));
// A linear recurrence with a dense matrix is affine, and has one.
static_assert(has_scan_law([](auto h) { return linear<"U">(h) + candidate; }));

// ---- the law of two steps, (q, y) after (p, x), follows from the rules: (q p, q x + y)
constexpr composition_law two_steps = compose_steps();
static_assert(two_steps.transition == rows::then(rows::q, rows::p));
static_assert(two_steps.input == rows::add(rows::at(rows::q, rows::x), rows::y));

}  // namespace
}  // namespace alphaform

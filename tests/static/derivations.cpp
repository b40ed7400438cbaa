// Derived normal forms, compared at compile time with the paper's equations written down by hand. This file tests by
// compiling.
#include <alphaform/algebra/derive.hpp>
#include <alphaform/architectures/mamba.hpp>
#include <alphaform/architectures/rwkv4.hpp>

namespace alphaform {
namespace {

// ---- Mamba: Eq. 9 with the skip, and the filter's bias as remainder
namespace of_mamba {
constexpr auto x = input<"x">, z = input<"z">;
constexpr auto c = fir<"conv1d.weight"> * x + param<"conv1d.bias">;
constexpr auto v = silu(c);
constexpr auto low = op<chan, rank>{build::mix(param<"x_proj.weight[dt]", chan | rank>.e, rank, chan)} * v;
constexpr auto high = op<rank, chan>{build::mix(param<"dt_proj.weight", chan | rank>.e, chan, rank)} * low;
constexpr auto Delta = softplus(high + param<"dt_proj.bias">);
constexpr auto A = -exp(param<"A_log", chan | state>);
constexpr auto B = op<chan, state>{build::mix(param<"x_proj.weight[B]", chan | state>.e, state, chan)} * v;
constexpr auto C = op<chan, state>{build::mix(param<"x_proj.weight[C]", chan | state>.e, state, chan)} * v;
constexpr auto unrolled_by_hand = contract<state> * diag(C) * scan(exp((expand<state> * Delta) * A)) *
                                  diag((expand<state> * Delta) * (expand<chan> * B)) * expand<state>;
constexpr auto S = op<chan, chan>{unrolled_by_hand.e};
constexpr auto filter = fir<"conv1d.weight">;

constexpr auto with_skip = diag(silu(z)) * (S + diag(param<"D">)) * diag(sigmoid(c)) * filter;
constexpr auto without_skip = diag(silu(z)) * S * diag(sigmoid(c)) * filter;
constexpr auto ungated = (S + diag(param<"D">)) * diag(sigmoid(c)) * filter;
constexpr auto unbiased = diag(silu(z)) * (S + diag(param<"D">)) * diag(sigmoid(filter * x)) * filter;
constexpr auto other_order = diag(silu(z)) * (S + diag(param<"D">)) * filter * diag(sigmoid(c));
constexpr auto rest = diag(silu(z)) * (S + diag(param<"D">)) * diag(sigmoid(c)) * param<"conv1d.bias">;

constexpr auto derived = derive(architectures::mamba::attention);
static_assert(derived.refused == absent);
static_assert(normal(derived.H()) == normal(with_skip));
static_assert(normal(derived.r()) == normal(rest));
static_assert(!(normal(derived.H()) == normal(without_skip)), "Eq. 9 as printed drops the skip");
static_assert(!(normal(derived.H()) == normal(ungated)));
static_assert(!(normal(derived.H()) == normal(unbiased)), "sigma is taken of the biased c");
static_assert(!(normal(derived.H()) == normal(other_order)), "Diag and Conv do not commute");
static_assert(normal(architectures::mamba::printed.H) == normal(without_skip).e, "Eq. 9 as printed");
}  // namespace of_mamba

// ---- RWKV-4: Eq. 21 with the indices of Eq. 20 put right
namespace of_rwkv4 {
constexpr auto decay = exp(-exp(param<"time_decay">));
constexpr auto P = (delay * scan(decay) + diag(exp(param<"time_first">))) * diag(exp(input<"k">));
constexpr auto ones = stream<chan>{build::leaf<terms::one>({}, chan)};
constexpr auto H = gate(sigmoid(input<"r">)) * diag(reciprocal(P * ones)) * P;
constexpr auto inclusive = (scan(decay) + diag(exp(param<"time_first">))) * diag(exp(input<"k">));

constexpr auto derived = derive(architectures::rwkv4::attention);
static_assert(normal(derived.H()) == normal(H));
static_assert(derived.term(derived.remainder).top().is<terms::nothing>(), "RWKV-4 leaves no remainder");
static_assert(!(normal(derived.H()) == normal(gate(sigmoid(input<"r">)) * P)), "without the normaliser");
static_assert(!(normal(derived.H()) ==
                normal(gate(sigmoid(input<"r">)) * diag(reciprocal(inclusive * ones)) * inclusive)),
              "with the inclusive read");
}  // namespace of_rwkv4

// ---- an RMS norm in front of the gate is two Diags, its statistic frozen
namespace with_norm {
constexpr auto inner = of_mamba::S * silu(of_mamba::c);
constexpr auto y = gate(silu(input<"z">)) * norm<"norm.weight", "eps">(inner);
constexpr auto H = diag(silu(input<"z">)) * diag(param<"norm.weight">) * diag(rho<"eps">(inner)) * of_mamba::S *
                   diag(sigmoid(of_mamba::c)) * of_mamba::filter;
constexpr auto derived = derive(y);
static_assert(normal(derived.H()).e == normal(H).e);
static_assert(!(normal(derived.H()).e == normal(diag(silu(input<"z">)) * diag(rho<"eps">(inner)) * of_mamba::S *
                                                diag(sigmoid(of_mamba::c)) * of_mamba::filter)
                                             .e),
              "without the weight");
}  // namespace with_norm

// ---- the normal form of a normal form is itself; brackets, identities and zeros do not matter
static_assert(normal(normal(of_mamba::derived.H())) == normal(of_mamba::derived.H()));
static_assert(normal(normal(of_rwkv4::derived.H())) == normal(of_rwkv4::derived.H()));
static_assert(normal(normal(of_mamba::with_skip)) == normal(of_mamba::with_skip));
static_assert(normal(id * (of_mamba::filter * id)) == normal(of_mamba::filter));
static_assert(normal((of_mamba::filter * of_mamba::filter) * delay) ==
              normal(of_mamba::filter * (of_mamba::filter * delay)));

// ---- a plain product on the value path is refused, and names itself
constexpr auto bilinear = of_mamba::x * input<"z">;
constexpr auto refused = derive(bilinear.e);
static_assert(refused.refused != absent && refused.term(refused.refused) == bilinear.e);

}  // namespace
}  // namespace alphaform

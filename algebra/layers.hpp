// The named constructors: what a layer's author calls things. Each is a composition of the leaves of language.hpp.
#pragma once
#include <alphaform/algebra/language.hpp>

namespace alphaform {

/// W, a parameter [to, from] as in nn.Linear, as an operator; other axes of a stream pass through. Several axes To
/// share the rows of W, and several From its columns. With Each, there is a matrix for every entry of these axes:
/// [each, to, from].
template <name Weight, axes To, axes From, axes Each = no_axes>
inline constexpr op<From, To> mix{build::mix(param<Weight, Each | To | From>.e, To, From)};
/// y = W s over all axes of `s`.
template <name Weight, axes To = chan, axes A>
constexpr stream<To> linear(const stream<A>& s) {
  static_assert(!A.touches(tap) && A != no_axes, "linear: the stream needs an axis to be mixed");
  return mix<Weight, To, A> * s;
}
/// y = W s + b. An absent bias is 0.
template <name Weight, name Bias, axes To = chan, axes A>
constexpr stream<To> affine(const stream<A>& s) {
  return linear<Weight, To>(s) + param<Bias, To>;
}

/// Causal depthwise convolution: y_t = b + sum_k w[K-1-k] x_{t-k}, zeros before the first token; w is [C, K] (or [C, 1,
/// K]).
template <name Taps, axes A = chan>
inline constexpr op<A, A> fir{build::with<terms::conv>(param<Taps, A | tap>.e)};
/// The same with any stream that has taps as the weight.
template <axes A>
constexpr op<A - tap, A - tap> filter(const stream<A>& taps) {
  static_assert(A.contains(tap), "filter: the weight needs the tap axis");
  return {build::with<terms::conv>(taps.e)};
}
template <name Taps, name Bias, axes A>
constexpr stream<A> conv(const stream<A>& s) {
  return fir<Taps, A> * s + param<Bias, A>;
}

/// Token shift: mu s_t + (1 - mu) s_{t-1}, mu a parameter [C].
template <name Mu>
constexpr stream<chan> shift(const stream<chan>& s) {
  return diag(param<Mu>) * s + diag(complement(param<Mu>)) * (delay * s);
}
/// s_t + mu (s_{t-1} - s_t): the share of the token before is mu, a parameter or a stream [C].
constexpr stream<chan> lerp(const stream<chan>& s, const stream<chan>& mu) { return s + mu * (delay * s - s); }

/// The number of the token, counted from 1: only differences of it mean anything.
inline constexpr stream<no_axes> position = let<"t">(scan(number<"1">) * number<"1">);
/// 1 at the first token of a text, 0 after it.
inline constexpr stream<no_axes> first_token = complement(delay * number<"1">);
/// Rotary embedding over the state axis of `s`: entries j and j + N/2 turn by t f_j, f a parameter [N] that is the same
/// in both halves. @see Su et al. 2021, Eq. 34
template <name Frequencies, axes A>
constexpr stream<A> rotary(const stream<A>& s) {
  const auto angle = position * param<Frequencies, state>;
  return diag(cos(angle)) * s + diag(sin(angle)) * (quarter_turn<state> * s);
}

/// GELU with tanh: 0.5 (1 + tanh(sqrt(2/pi) (s + 0.044715 s^3))) s. @see Hendrycks and Gimpel 2016, Sec. 2
template <axes A>
constexpr stream<A> gelu(const stream<A>& s) {
  const auto inner = number<"0.7978845608028654"> * (s + number<"0.044715"> * (s * square(s)));
  return number<"0.5"> * (widen<A>(number<"1">) + tanh(inner)) * s;
}
/// log(sigmoid(s)), without overflow.
template <axes A>
constexpr stream<A> log_sigmoid(const stream<A>& s) {
  return -softplus(-s);
}
/// cap tanh(s / cap), cap a parameter [].
template <name Cap, axes A>
constexpr stream<A> soft_cap(const stream<A>& s) {
  return param<Cap, no_axes> * tanh(s * reciprocal(param<Cap, no_axes>));
}
/// s / sqrt(n), n the entries of `s` along the state axis: the scale of queries.
template <axes A>
constexpr stream<A> scaled(const stream<A>& s) {
  return sqrt(inverse_size<state>(s)) * s;
}
/// s / sqrt(|s|^2 + epsilon) over the state axis, but no |s| below `floor`'s root; both parameters [].
template <name Epsilon, name Floor, axes A>
constexpr stream<A> l2_normalised(const stream<A>& s) {
  return rsqrt(max(contract<state> * square(s) + widen<A - state>(param<Epsilon, no_axes>), param<Floor, no_axes>)) * s;
}

// The arguments of unrolled, by name.
template <axes A>
struct decay_of final {
  stream<A> s;
};
template <axes A>
struct write_of final {
  stream<A> s;
};
template <axes A>
struct read_of final {
  stream<A> s;
};
template <axes A>
struct bonus_of final {
  stream<A> s;
};
template <axes A>
constexpr decay_of<A> decay(const stream<A>& s) {
  return {s};
}
template <axes A>
constexpr write_of<A> write(const stream<A>& s) {
  return {s};
}
template <axes A>
constexpr read_of<A> read(const stream<A>& s) {
  return {s};
}
template <axes A>
constexpr bonus_of<A> bonus(const stream<A>& s) {
  return {s};
}

/// The recurrence h_t = decay_t h_{t-1} + write_t x_t, y_t = sum over the state of read_t h_t: an operator on the axes
/// that the three have beside the state, [T, C] or [T, H] for all channels of a head alike.
/// @see paper Eq. 7
template <axes D, axes W, axes R>
constexpr auto unrolled(const decay_of<D>& a, const write_of<W>& b, const read_of<R>& c) {
  constexpr axes on = (D | W | R) - state;
  static_assert((R & state).bits == state.bits, "unrolled: the read gate needs the state axis");
  static_assert(on.bits != no_axes.bits,
                "unrolled: decay, write and read need the channel or the head axis between them");
  return op<on, on>{(contract<state> * (diag(c.s) * (scan(a.s) * (diag(b.s) * expand<state>)))).e};
}
/// The exclusive read with a bonus: y_t = sum over the state of read_t (h_{t-1} + bonus write_t x_t). @see RWKV-5, Peng
/// et al. 2024, Eq. 16
template <axes D, axes W, axes R, axes U>
constexpr auto unrolled(const decay_of<D>& a, const write_of<W>& b, const read_of<R>& c, const bonus_of<U>& u) {
  constexpr axes on = (D | W | R | U) - state;
  static_assert((R & state).bits == state.bits, "unrolled: the read gate needs the state axis");
  return op<on, on>{
      (contract<state> * (diag(c.s) * ((delay * scan(a.s) + diag(u.s)) * (diag(b.s) * expand<state>)))).e};
}
/// The same with a transition P in place of the decay: h_t = P_t h_{t-1} + write_t x_t, P an operator over the state.
template <axes P, axes W, axes R>
constexpr auto unrolled(const op<P, P>& transition, const write_of<W>& b, const read_of<R>& c) {
  constexpr axes on = (P | W | R) - state;
  static_assert((R & P & state).bits == state.bits, "unrolled: transition and read gate need the state axis");
  return op<on, on>{(contract<state> * (diag(c.s) * (scan(transition) * (diag(b.s) * expand<state>)))).e};
}
/// b a': what takes the sum over the state of a h and adds it to the state along b. An operator over the state.
template <axes A, axes B>
constexpr auto outer(const stream<B>& b, const stream<A>& a) {
  static_assert((A & B & state).bits == state.bits, "outer: both streams need the state axis");
  return op<A | B, A | B>{(diag(b) * (expand<state> * (contract<state> * diag(a)))).e};
}
/// The exclusive read with a bonus, without a state axis: y_t = h_{t-1} + bonus x'_t with x' = write x (RWKV-4, paper
/// Eq. 20).
/// Under rownorm and with exponentials as arguments it is evaluated with a running maximum, so that no key overflows.
template <axes A, axes W, axes U>
constexpr op<chan, chan> unrolled(const decay_of<A>& a, const write_of<W>& b, const bonus_of<U>& u) {
  static_assert((A | W | U).bits == chan.bits,
                "unrolled with a bonus works on [T,C]: decay, write and bonus have the channel axis");
  return (delay * scan(a.s) + diag(u.s)) * diag(b.s);
}

/// Anything else is not enough for a recurrence.
template <class... Argument>
constexpr op<chan, chan> unrolled(const Argument&...) {
  static_assert(sizeof...(Argument) > 99, "unrolled needs decay(...), write(...) and either read(...) or bonus(...)");
  return {};
}

/// The factor of an RMS norm: rho_t = (mean_c s_tc^2 + epsilon)^(-1/2), the mean over all axes of `s`.
/// @see docs/mathematics.md
template <name Epsilon, axes A>
constexpr stream<no_axes> rho(const stream<A>& s) {
  return rsqrt(diag(inverse_size<A>(s)) * (contract<A> * square(s)) + param<Epsilon, no_axes>);
}
/// The same with means over some of the axes of `s`.
template <name Epsilon, axes Over, axes A>
constexpr stream<A - Over> rho_over(const stream<A>& s) {
  return rsqrt(diag(inverse_size<Over>(s)) * (contract<Over> * square(s)) + widen<A - Over>(param<Epsilon, no_axes>));
}
/// RMSNorm(s) = Diag(w) Diag(rho) s. @see docs/mathematics.md
template <name Weight, name Epsilon, axes A>
constexpr stream<A> norm(const stream<A>& s) {
  return diag(param<Weight, A>) * (diag(let<"rho">(rho<Epsilon>(s))) * s);
}
/// RMSNorm of every head for itself, with one weight [C] for all heads, or of every group with Over = head | chan.
template <name Weight, name Epsilon, axes Of = chan, axes Over = chan, axes A>
constexpr stream<A> norm_over(const stream<A>& s) {
  return diag(param<Weight, Of>) * (diag(let<"rho">(rho_over<Epsilon, Over>(s))) * s);
}
/// The centring projector I - 1 1^T / n over some axes of `s`. @see docs/mathematics.md
template <axes Over = chan, axes A>
constexpr op<Over, Over> centre(const stream<A>& s) {
  return {(id + diag(-inverse_size<Over>(s)) * (expand<Over> * contract<Over>)).e};
}
/// LayerNorm(s) = Diag(w) Diag(rho) (I - 1 1^T / n) s + b over all axes of `s`. @see docs/mathematics.md
template <name Weight, name Bias, name Epsilon, axes A>
constexpr stream<A> norm(const stream<A>& s) {
  const auto centred = centre<A>(s) * s;
  return norm<Weight, Epsilon>(centred) + param<Bias, A>;
}
/// GroupNorm with a group for every head: LayerNorm over the channels of a head, weight [H, C].
template <name Weight, name Epsilon, axes A>
constexpr stream<A> group_norm(const stream<A>& s) {
  return norm_over<Weight, Epsilon, A>(centre(s) * s);
}

}  // namespace alphaform

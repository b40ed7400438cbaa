// The named constructors: what a layer's author calls things. Each is a composition of the leaves of language.hpp.
#pragma once
#include <alphaform/algebra/language.hpp>

namespace alphaform {

/// y = W s over the axis of `s`; W is a parameter [to, from], as in nn.Linear. Several axes To share the rows of W.
template <name Weight, axes To = chan, axes A>
constexpr stream<To> linear(const stream<A>& s) {
  static_assert(A == chan || A == state || A == rank || A == head, "linear: the stream needs exactly one axis");
  return {build::with<terms::applied>(build::mix(param<Weight, To | A>.e, To, A), s.e)};
}

/// Causal depthwise convolution: y_t = b + sum_k w[K-1-k] x_{t-k}, zeros before the first token; w is [C, K] (or [C, 1,
/// K]).
template <name Taps, axes A = chan>
inline constexpr op<A, A> fir{build::with<terms::conv>(param<Taps, A | tap>.e)};
template <name Taps, name Bias, axes A>
constexpr stream<A> conv(const stream<A>& s) {
  return fir<Taps, A> * s + param<Bias, A>;
}

/// Token shift: mu s_t + (1 - mu) s_{t-1}, mu a parameter [C].
template <name Mu>
constexpr stream<chan> shift(const stream<chan>& s) {
  return diag(param<Mu>) * s + diag(complement(param<Mu>)) * (delay * s);
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
/// The exclusive read with a bonus for the current token: y_t = h_{t-1} + bonus x'_t with x' = write x (RWKV-4, paper
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
/// RMSNorm(s) = Diag(w) Diag(rho) s. @see docs/mathematics.md
template <name Weight, name Epsilon, axes A>
constexpr stream<A> norm(const stream<A>& s) {
  return diag(param<Weight, A>) * (diag(let<"rho">(rho<Epsilon>(s))) * s);
}
/// The centring projector I - 1 1^T / n over the channels of `s`. @see docs/mathematics.md
constexpr op<chan, chan> centre(const stream<chan>& s) {
  return {(id + diag(-inverse_size<chan>(s)) * (expand<chan> * contract<chan>)).e};
}
/// LayerNorm(s) = Diag(w) Diag(rho) (I - 1 1^T / n) s + b. @see docs/mathematics.md
template <name Weight, name Bias, name Epsilon>
constexpr stream<chan> norm(const stream<chan>& s) {
  const auto centred = centre(s) * s;
  return norm<Weight, Epsilon>(centred) + param<Bias>;
}

}  // namespace alphaform

// The language of declarations: streams and operators whose C++ types carry their axes. Everything is a constexpr
// value; a wrong combination of axes does not compile, and the message names the axes (head 1, chan 2, state 4, rank 8,
// tap 16, part 32) as (found == wanted).
#pragma once
#include <alphaform/algebra/build.hpp>
#include <alphaform/algebra/name.hpp>
#include <alphaform/algebra/properties.hpp>

namespace alphaform {

/// A stream [T, axes...], or, if only parameters occur in it, [axes...].
template <axes A>
struct stream final {
  static constexpr axes has = A;
  expr e;
};

/// A linear map of streams that consumes the axes From, makes the axes To and leaves others alone.
template <axes From, axes To>
struct op final {
  static constexpr axes from = From, to = To;
  expr e;
};

template <axes A>
constexpr bool operator==(const stream<A>& x, const stream<A>& y) {
  return x.e == y.e;
}
template <axes F1, axes T1, axes F2, axes T2>
constexpr bool operator==(const op<F1, T1>& p, const op<F2, T2>& q) {
  return p.e == q.e;
}

// ---- leaves

/// A named input stream [T, axes]. The input called "x" is the start of the value path.
template <name Id, axes A = chan>
inline constexpr stream<A> input{build::leaf<terms::input>(Id.view(), A)};
/// A named parameter [axes].
template <name Id, axes A = chan>
inline constexpr stream<A> param{build::leaf<terms::parameter>(Id.view(), A)};
/// A constant, written as decimals: number<"0.5">.
template <name Decimals>
inline constexpr stream<no_axes> number{build::leaf<terms::number>(Decimals.view())};
/// 1 everywhere.
template <axes A>
inline constexpr stream<A> ones{build::leaf<terms::one>({}, A)};
inline constexpr op<no_axes, no_axes> id{build::leaf<terms::identity>()};
inline constexpr op<no_axes, no_axes> delay{build::leaf<terms::delay>()};
/// The tokens from last to first.
inline constexpr op<no_axes, no_axes> reverse{build::leaf<terms::reverse>()};
/// y_t = x_{order[t]}; `order` is a parameter [T] that holds every token's number once.
template <name Order>
inline constexpr op<no_axes, no_axes> permute{
    build::with<terms::permute>(build::leaf<terms::parameter>(Order.view(), no_axes))};
/// Real numbers as complex ones, their real part, and multiplication by i; a complex stream has the axis `part`.
inline constexpr op<no_axes, part> embed{build::leaf<terms::embed>({}, part)};
inline constexpr op<part, no_axes> real{build::leaf<terms::real>({}, {}, part)};
inline constexpr op<part, part> turn{build::leaf<terms::turn>({}, part, part)};
/// A quarter turn in every plane (j, j + n/2) of an axis with n entries, an even number: (x, y) to (-y, x).
template <axes A>
inline constexpr op<A, A> quarter_turn{build::leaf<terms::turn>({}, A, A)};
template <axes A>
inline constexpr op<no_axes, A> expand{build::leaf<terms::expand>({}, A)};
template <axes A>
inline constexpr op<A, no_axes> contract{build::leaf<terms::contract>({}, {}, A)};
/// 1 / (entries of `s` along the axes A). Of the stream only the size counts.
template <axes A, axes S>
constexpr stream<no_axes> inverse_size(const stream<S>& s) {
  static_assert((A & S).bits == A.bits, "inverse_size: the stream lacks the axis whose entries are to be counted");
  return {build::inverse_size(s.e, A)};
}

/// Gives a term a name for print; its identity does not change. Greek letters are spelled: "Delta".
template <name Label, class Term>
constexpr Term let(Term term) {
  term.e.g.labels[term.e.root] = Label.view();
  return term;
}

// ---- operators

template <axes A>
constexpr op<A, A> diag(const stream<A>& s) {
  return {build::with<terms::diag>(s.e)};
}
/// Diag, said of a factor that modulates: gate(a) * b puts b on the value path and freezes a.
template <axes A>
constexpr op<A, A> gate(const stream<A>& s) {
  return diag(s);
}
template <axes F1, axes T1, axes F2, axes T2>
constexpr auto operator*(const op<F1, T1>& p, const op<F2, T2>& q) {
  static_assert(((T1 - F1).bits & (T2 - (T2 & F1)).bits) == 0, "P * Q: P makes an axis that Q's result already has");
  constexpr effect e = in_series({F1, T1}, {F2, T2});
  return op<e.from, e.to>{build::with<terms::product>(p.e, q.e)};
}
template <axes F1, axes T1, axes F2, axes T2>
constexpr auto operator+(const op<F1, T1>& p, const op<F2, T2>& q) {
  static_assert((F1 - T1).bits == (F2 - T2).bits, "P + Q: both operators must sum away the same axes");
  static_assert((T1 - F1).bits == (T2 - F2).bits, "P + Q: both operators must make the same axes");
  constexpr effect e = in_parallel({F1, T1}, {F2, T2});
  return op<e.from, e.to>{build::with<terms::sum>(p.e, q.e)};
}
template <axes F, axes T, axes A>
constexpr auto operator*(const op<F, T>& p, const stream<A>& s) {
  static_assert((F & A).bits == F.bits, "P * s: the stream lacks an axis that the operator works on");
  static_assert(((T - F) & A).bits == 0, "P * s: the operator makes an axis that the stream already has");
  return stream<after({F, T}, A)>{build::with<terms::applied>(p.e, s.e)};
}

/// h_t = P_t h_{t-1} + x_t for an operator P that works within a token; a stream as decay means Diag of it.
template <axes A, axes B>
constexpr op<A, A> scan(const op<A, B>& transition) {
  static_assert(A.bits == B.bits, "scan: the transition must make the axes that it consumes");
  if (!works_within_tokens(transition.e.g, transition.e.root))
    throw user_error("scan: the transition mixes tokens: it must work within one token, on the state before it");
  return {build::with<terms::scan>(transition.e)};
}
template <axes A>
constexpr op<A, A> scan(const stream<A>& decay) {
  return {build::with<terms::scan>(diag(decay).e)};
}
/// The transpose.
template <axes F, axes T>
constexpr op<T, F> adjoint(const op<F, T>& p) {
  return {build::with<terms::adjoint>(p.e)};
}
/// Causal attention without its normaliser: y_t = sum_{s <= t} exp(q_t k_s) x_s, the product over the state axis.
/// softmax(q k) is rownorm(attend(q, k)).
template <axes A, axes B>
constexpr auto attend(const stream<A>& q, const stream<B>& k) {
  static_assert((A & B & state).bits == state.bits,
                "attend: queries and keys need the state axis, over which they meet");
  return op<(A | B) - state, (A | B) - state>{build::with<terms::attend>(q.e, k.e)};
}
/// The same within a window: s > t - W, W the number of tokens in the parameter `Window`; where it is absent, all.
template <name Window, axes A, axes B>
constexpr auto local_attend(const stream<A>& q, const stream<B>& k) {
  static_assert((A & B & state).bits == state.bits,
                "local_attend: queries and keys need the state axis, over which they meet");
  return op<(A | B) - state, (A | B) - state>{build::with<terms::attend>(q.e, k.e, Window.view())};
}
/// Divides every row by max(|its sum|, 1).
template <axes A>
constexpr op<A, A> bounded_rownorm(const op<A, A>& p) {
  return {build::with<terms::bounded_rownorm>(p.e)};
}
/// Divides every row by its sum. RowNorm(P) = Diag(1 / (P 1)) P.
template <axes A>
constexpr op<A, A> rownorm(const op<A, A>& p) {
  return {build::with<terms::rownorm>(p.e)};
}

// ---- streams

/// Repeats `s` along the axes that To has beyond it. The Expand is a node: nothing broadcasts silently.
template <axes To, axes A>
constexpr stream<To> widen(const stream<A>& s) {
  if constexpr (A == To) {
    return s;
  } else {
    return expand<To - A> * s;
  }
}
/// Pointwise product; the narrower factor is widened. On the value path write gate(a) * b instead: a plain product is
/// refused there.
template <axes A, axes B>
constexpr stream<A | B> operator*(const stream<A>& a, const stream<B>& b) {
  return {build::with<terms::times>(widen<A | B>(a).e, widen<A | B>(b).e)};
}
template <axes A, axes B>
constexpr stream<A> operator+(const stream<A>& a, const stream<B>& b) {
  static_assert(A.bits == B.bits, "a + b: a sum of streams needs equal axes on both sides, such as [T,C] + [T,C]");
  return {build::with<terms::plus>(a.e, b.e)};
}
template <axes A, axes B>
constexpr stream<A> operator-(const stream<A>& a, const stream<B>& b) {
  return a + stream<B>{build::call<functions::neg>(b.e)};
}
/// The larger of the two, pointwise; the narrower one is widened.
template <axes A, axes B>
constexpr stream<A | B> max(const stream<A>& a, const stream<B>& b) {
  return {build::with<terms::larger>(widen<A | B>(a).e, widen<A | B>(b).e)};
}
/// The running maximum p_t = max(p_{t-1} + log_decay_t, key_t).
template <axes A>
constexpr stream<A> peak(const stream<A>& log_decay, const stream<A>& key) {
  return {build::with<terms::peak>(log_decay.e, key.e)};
}
template <axes A, axes B>
constexpr stream<A | B> min(const stream<A>& a, const stream<B>& b) {
  return -max(-a, -b);
}
template <class Function, axes A>
constexpr stream<A> call(const stream<A>& s) {
  return {build::call<Function>(s.e)};
}
// clang-format off
template <axes A> constexpr stream<A> operator-(const stream<A>& s) { return call<functions::neg>(s); }
template <axes A> constexpr stream<A> exp(const stream<A>& s) { return call<functions::exp>(s); }
template <axes A> constexpr stream<A> silu(const stream<A>& s) { return call<functions::silu>(s); }
template <axes A> constexpr stream<A> sigmoid(const stream<A>& s) { return call<functions::sigmoid>(s); }
template <axes A> constexpr stream<A> softplus(const stream<A>& s) { return call<functions::softplus>(s); }
template <axes A> constexpr stream<A> relu(const stream<A>& s) { return call<functions::relu>(s); }
template <axes A> constexpr stream<A> square(const stream<A>& s) { return call<functions::square>(s); }
template <axes A> constexpr stream<A> rsqrt(const stream<A>& s) { return call<functions::rsqrt>(s); }
template <axes A> constexpr stream<A> reciprocal(const stream<A>& s) { return call<functions::reciprocal>(s); }
template <axes A> constexpr stream<A> tanh(const stream<A>& s) { return call<functions::tanh>(s); }
template <axes A> constexpr stream<A> log(const stream<A>& s) { return call<functions::log>(s); }
template <axes A> constexpr stream<A> abs(const stream<A>& s) { return call<functions::abs>(s); }
template <axes A> constexpr stream<A> cos(const stream<A>& s) { return call<functions::cos>(s); }
template <axes A> constexpr stream<A> sin(const stream<A>& s) { return call<functions::sin>(s); }
template <axes A> constexpr stream<A> sqrt(const stream<A>& s) { return call<functions::sqrt>(s); }
template <axes A> constexpr stream<A> expm1(const stream<A>& s) { return call<functions::expm1>(s); }
template <axes A> constexpr stream<A> complement(const stream<A>& s) { return call<functions::complement>(s); }
// clang-format on
template <axes F1, axes T1, axes F2, axes T2>
constexpr auto operator-(const op<F1, T1>& p, const op<F2, T2>& q) {
  return p + diag(number<"-1">) * q;
}

/// Multiplication by the complex number a e^{i angle}, for real streams a and angle: an operator on complex streams.
template <axes A>
constexpr op<A | part, A | part> rotate(const stream<A>& a, const stream<A>& angle) {
  const auto real_part = diag(a * cos(angle)), imaginary_part = diag(a * sin(angle));
  return {build::with<terms::sum>(real_part.e, (imaginary_part * turn).e)};
}

}  // namespace alphaform

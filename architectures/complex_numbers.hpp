// Complex numbers as pairs of streams, for parameters of state space models, and multiplication by them as an operator.
#pragma once
#include <alphaform/algebra/layers.hpp>

namespace alphaform {

template <axes A>
struct complex_stream final {
  stream<A> re, im;
};
template <axes A>
constexpr complex_stream<A> operator*(const complex_stream<A>& a, const complex_stream<A>& b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
/// a / b
template <axes A>
constexpr complex_stream<A> operator/(const complex_stream<A>& a, const complex_stream<A>& b) {
  const auto over = reciprocal(square(b.re) + square(b.im));
  return {over * (a.re * b.re + a.im * b.im), over * (a.im * b.re - a.re * b.im)};
}
/// e^a
template <axes A>
constexpr complex_stream<A> exp(const complex_stream<A>& a) {
  return {exp(a.re) * cos(a.im), exp(a.re) * sin(a.im)};
}
/// e^a - 1, accurate near 0: expm1(re) cos(im) - 2 sin(im/2)^2 + i e^re sin(im).
template <axes A>
constexpr complex_stream<A> expm1(const complex_stream<A>& a) {
  const auto half = number<"0.5"> * a.im;
  return {expm1(a.re) * cos(a.im) - number<"2"> * square(sin(half)), exp(a.re) * sin(a.im)};
}
/// Multiplication by `a`, on complex streams.
template <axes A>
constexpr auto multiply(const complex_stream<A>& a) {
  return op<A | part, A | part>{(diag(a.re) + diag(a.im) * turn).e};
}
/// The complex matrix Re + i Im, on complex streams.
template <name Re, name Im, axes To, axes From>
inline constexpr auto complex_mix = mix<Re, To, From> + turn* mix<Im, To, From>;

}  // namespace alphaform

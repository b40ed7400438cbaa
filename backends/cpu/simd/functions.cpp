#include <alphaform/backends/cpu/simd/functions.hpp>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "alphaform/backends/cpu/simd/functions.cpp"
// The order of these matters.
// clang-format off
#include <alphaform/backends/cpu/simd/targets.hpp>
#include <hwy/foreach_target.h>
// clang-format on
#include <alphaform/backends/cpu/pointwise/strips-inl.hpp>
#include <alphaform/backends/cpu/simd/math-inl.hpp>

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

template <class V>
struct on final {
  using D = hn::DFromV<V>;
  static HWY_INLINE V One(D d) { return hn::Set(d, 1.0f); }

  static HWY_INLINE V Of(functions::exp, D d, V x) { return Exp(d, x); }
  static HWY_INLINE V Of(functions::neg, D, V x) { return hn::Neg(x); }
  static HWY_INLINE V Of(functions::reciprocal, D d, V x) { return hn::Div(One(d), x); }
  static HWY_INLINE V Of(functions::complement, D d, V x) { return hn::Sub(One(d), x); }
  static HWY_INLINE V Of(functions::square, D, V x) { return hn::Mul(x, x); }
  static HWY_INLINE V Of(functions::rsqrt, D d, V x) { return Rsqrt(d, x); }
  static HWY_INLINE V Of(functions::relu, D d, V x) { return AtLeast(d, x, 0.0f); }
  static HWY_INLINE V Of(functions::softplus, D d, V x) { return Softplus(d, x); }
  static HWY_INLINE V Of(functions::sigmoid, D d, V x) { return Sigmoid(d, x); }
  static HWY_INLINE V Of(functions::silu, D d, V x) { return Silu(d, x); }
  static HWY_INLINE V Of(functions::step, D d, V x) { return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), One(d)); }
  static HWY_INLINE V Of(functions::sign, D d, V x) {
    const V zero = hn::Zero(d);
    return hn::IfThenElseZero(hn::Ne(x, zero), hn::IfThenElseZero(hn::Eq(x, x), hn::CopySign(One(d), x)));
  }
  static HWY_INLINE V Of(functions::abs, D, V x) { return hn::Abs(x); }
  static HWY_INLINE V Of(functions::tanh, D d, V x) { return Tanh(d, x); }
  static HWY_INLINE V Of(functions::log, D d, V x) { return Log(d, x); }
  static HWY_INLINE V Of(functions::cos, D d, V x) { return Cos(d, x); }
  static HWY_INLINE V Of(functions::sin, D d, V x) { return Sin(d, x); }
  static HWY_INLINE V Of(functions::sqrt, D, V x) { return hn::Sqrt(x); }
  static HWY_INLINE V Of(functions::expm1, D d, V x) { return Expm1(d, x); }
};

template <class Function>
void Map(const float* x, float* y, std::size_t n) {
  const hn::ScalableTag<float> d;
  using D = decltype(d);
  OnStrips(
      d, [](auto tag, auto v) HWY_ATTR { return on<decltype(v)>::Of(Function{}, tag, v); }, y, n,
      strip<false, std::remove_const_t<D>>(d, x));
}

strip_function Function(code f) {
  static constexpr auto table = tabulate(functions_tuple, [](auto g) -> strip_function { return &Map<decltype(g)>; });
  return table[f];
}

template <class Function, bool Sum, bool Product>
void MapWithin(const float* x, const float* row, const float* factor, float* y, std::size_t n) {
  const hn::ScalableTag<float> d;
  const auto more = Sum ? hn::Load(d, row) : hn::Zero(d);
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    auto v = hn::Load(d, x + i);
    if constexpr (Sum) v = hn::Add(v, more);
    v = on<decltype(v)>::Of(Function{}, d, v);
    if constexpr (Product) v = hn::Mul(v, hn::Load(d, factor + i));
    hn::Store(v, d, y + i);
  }
}

template <bool Sum, bool Product>
strip_function_within FunctionWithin(code f) {
  static constexpr auto table =
      tabulate(functions_tuple, [](auto g) -> strip_function_within { return &MapWithin<decltype(g), Sum, Product>; });
  return table[f];
}
strip_function_within Within(code f, bool sum, bool product) {
  if (!sum) return product ? FunctionWithin<false, true>(f) : FunctionWithin<false, false>(f);
  return product ? FunctionWithin<true, true>(f) : FunctionWithin<true, false>(f);
}

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace alphaform::cpu {

HWY_EXPORT(Function);
HWY_EXPORT(Within);

strip_function function_on_strips(code f) { return HWY_DYNAMIC_DISPATCH(Function)(f); }
strip_function_within function_within(code f, bool sum, bool product) {
  return HWY_DYNAMIC_DISPATCH(Within)(f, sum, product);
}

}  // namespace alphaform::cpu
#endif

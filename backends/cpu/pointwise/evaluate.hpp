// Pointwise programs in one pass over their operands, strip by strip through registers that stay in the cache.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <alphaform/view.hpp>
#include <span>

namespace alphaform::cpu {

/// y by the program; none of the operands may be y.
void evaluate(const pointwise&, std::span<const view<const float>> operands, view<float> y);
/// The same by a program with a scan, whose states are each two floats within a call: the second has what rounding lost
/// of the first, so that long slow decays keep their precision. `h` is as `kernels::scan` says.
void scan(const pointwise&, std::span<const view<const float>> operands, view<float> h, view<float> y);

void map(code function, view<const float> x, view<float> y);           ///< y = f(x); y may be x
void times(view<const float> a, view<const float> b, view<float> y);   ///< y = a b; y may be a
void plus(view<const float> a, view<const float> b, view<float> y);    ///< y = a + b; y may be a
void larger(view<const float> a, view<const float> b, view<float> y);  ///< y = max(a, b); y may be a

}  // namespace alphaform::cpu

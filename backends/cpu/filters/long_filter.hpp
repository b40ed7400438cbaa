// Filters as long as the sequence (Hyena, H3, S4 as a convolution) by fast transforms, T log T instead of T K.
#pragma once
#include <alphaform/view.hpp>

namespace alphaform::cpu {

/// y_t = sum_k w[K-1-k] x_{t-k} and its transpose y_t = sum_k w[K-1-k] x_{t+k}, with x_t = 0 outside; the taps lie
/// along `tap`. The sums are those of double.
void long_filter(view<const float> taps, view<const float> x, view<float> y);
void long_filter_adjoint(view<const float> taps, view<const float> g, view<float> y);

/// Is that quicker than the sum itself?
bool worth_transforming(std::size_t taps, std::size_t tokens);

}  // namespace alphaform::cpu

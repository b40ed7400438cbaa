// The kernels of the card as plain functions, one family a file; what each does stands in backends/kernels.hpp. Views
// hold addresses of the card's memory.
#pragma once
#include <alphaform/backends/kernels.hpp>

namespace alphaform::cuda {

using in = view<const float>;
using out = view<float>;

// recording.cpp
std::shared_ptr<void> record(const std::function<void()>& work);
void replay(void* recorded);

// elementwise.cu
void fill(float value, out y);
void unit(std::size_t token, out y);
void eye(out y);
void copy(in x, out y);
void times(in a, in b, out y);
void plus(in a, in b, out y);
void larger(in a, in b, out y);
void inverse(in x, out y);
void shift(std::ptrdiff_t lag, in x, out y);
void reverse(in x, out y);
void gather(in order, in x, out y);
void scatter(in order, in g, out y);

// total.cu
void total(float weight, bool absolute, in x, out y);

// programs/program.cpp: pointwise programs are translated and compiled for the card when they are first met
void map(code function, in x, out y);
void evaluate(const pointwise&, std::span<const in> operands, out y);
void scan(const pointwise&, std::span<const in> operands, out h, out y);
// programs/gated_filter.cpp
void gated_fir_adjoint(const pointwise&, std::span<const filtered_stream<float>> operands, in taps, out y);
// programs/unrolled_pass.cpp
void unrolled_pass(const pointwise&, const state_factors<float>&, std::span<const in> operands, out h, out y);

// linear.cpp
template <product_precision>
void linear(in weight, axis from, axis to, in x, out y);
template <product_precision>
void linear_adjoint(in weight, axis from, axis to, in g, out y);

// filter.cu
void fir(in taps, in x, out y);
void fir_adjoint(in taps, in g, out y);

// peak.cu
void peak(in log_decay, in key, out y);

// states/unrolled.cu
template <product_precision>
void unrolled(const recurrence<float>&, in x, out h, out y);
template <product_precision>
void unrolled_adjoint(const recurrence<float>&, in g, out h, out y);
// gradient/gradient.cu
void unrolled_gradient(const recurrence<float>&, in x, in g, std::span<const state_sum<float>>);
// states/rank_one.cu
template <product_precision>
void rank_one(const rank_one_recurrence<float>&, in x, out h, out y);
template <product_precision>
void rank_one_adjoint(const rank_one_recurrence<float>&, in g, out h, out y);

// maps/channel_map.cu
void channel_map(const channel_matrices<float>&, over_channels, out map);

// attend.cu
void attend(in q, in k, bool normalised, std::size_t window, in x, out y);
void attend_adjoint(in q, in k, bool normalised, std::size_t window, in g, out y);

}  // namespace alphaform::cuda

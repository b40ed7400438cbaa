// What the chunks of unrolled.cu leave out.
#pragma once
#include <alphaform/backends/cuda/functions.hpp>

namespace alphaform::cuda {

/// Any recurrence, token after token, in double; not fast.
void unrolled_plainly(bool adjoint, const recurrence<float>&, in x, out h, out y);
/// y_t += sum over the state of bonus_t c_t b_t x_t, where the u's and x are the same for a whole state.
void add_bonus(const recurrence<float>&, in x, std::size_t states, out y);

}  // namespace alphaform::cuda

// Steps of a pass that are one loop over a strip instead of two or three.
#pragma once
#include <alphaform/backends/cpu/states/pass.hpp>

namespace alphaform::cpu {

/// A function, the sum with a row before it and the product with a strip behind it become one step, if nothing else
/// needs the parts: f(a + row) c.
void join_steps(pass_program&);

}  // namespace alphaform::cpu

// The smallest pointwise programs with a scan.
#pragma once
#include <alphaform/backends/pointwise.hpp>

namespace alphaform {

/// h_t = h_{t-1} + a_t h_{t-1} + x_t for the operands a and x, or the transpose.
inline pointwise scan_program(bool back) {
  using operation = pointwise::operation;
  return {.instructions = {{operation::load, 0, 0},
                           {operation::load, 1, 1},
                           {back ? operation::scan_back : operation::scan, 0, 0, 1}},
          .registers = 2,
          .operands = 2};
}

}  // namespace alphaform

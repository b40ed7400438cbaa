// A recurrence on states and the pointwise program around it, strip by strip: what the program makes never leaves the
// first caches.
#pragma once
#include <alphaform/backends/cpu/states/window.hpp>
#include <alphaform/backends/kernels.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace alphaform::cpu {

/// What `unrolled_pass` of a backend's kernels is.
void unrolled_pass(const pointwise&, const state_factors<float>&, std::span<const view<const float>> operands,
                   view<float> h, view<float> y);

/// What a value of a program is for one vector of channels.
enum class shape_of_value : std::uint8_t {
  number,  ///< one for all tokens and channels
  row,     ///< [lane], the same for all tokens
  strip    ///< [step, lane]
};

/// A program as steps on the values of one vector of channels. Numbers lie in vectors, as rows do: places are those of
/// all rows, and then those of strips.
struct pass_program final {
  struct step final {
    pointwise::operation is;  ///< load: operand a into `to`
    code function;
    std::uint16_t a, b, c, to;
    bool rows[3];                       ///< which arguments are the same for all steps
    bool sum = false, product = false;  ///< map: f(a + b) for a row b; f(...) c
  };
  struct constant final {
    std::uint16_t to;
    float value;
  };
  std::vector<constant> constants;
  std::vector<step> on_numbers, on_rows;  ///< once, and once for each vector of channels
  std::vector<step> before, after;        ///< on strips, before and after the states
  std::uint16_t rows = 0, strips = 0;
  std::uint16_t decay = 0, x = 0, states = 0, result = 0;  ///< strips: arguments and result of the states, and y

  std::uint16_t strip(std::size_t k) const { return static_cast<std::uint16_t>(rows + k); }
};

/// Of the window, decay.u, write.u, read.u and x are what the program makes.
struct states_pass final {
  states_window w;
  const pass_program* program;
  std::vector<strided> operands;
};
void scan(const states_pass&);

}  // namespace alphaform::cpu

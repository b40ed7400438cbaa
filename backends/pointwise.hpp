// Pointwise expressions as small programs, so that a backend evaluates one in a single pass over its operands. A scan
// along tokens, or an unrolled recurrence, may be one of the instructions: what is made of its operands and of its
// result is in the same pass.
#pragma once
#include <alphaform/algebra/functions.hpp>
#include <optional>
#include <vector>

namespace alphaform {

struct pointwise final {
  enum class operation : std::uint8_t {
    load,        ///< operand number a
    number,      ///< a constant
    map,         ///< function(a)
    times,       ///< a b
    plus,        ///< a + b
    larger,      ///< max(a, b)
    times_plus,  ///< a b + c
    lost,        ///< a b - c exactly, for c = a b rounded: what that has lost
    inverse,     ///< 1 / a, and 0 where a is 0
    scan,        ///< h <- h + a h + b from the first token on, for the state h of this place; h
    scan_back,   ///< h <- h + b from the last token on, the transpose; h, and h <- h + a h behind it
    states,      ///< h <- exp(a l) h + w b from the first token on for all states; the sum of r h
    states_back  ///< h <- h + w b from the last token on; the sum of r h, and h <- exp(a l) h behind it
  };
  /// Arguments are registers but for load's; every instruction writes to the register `to`, which may be one of its
  /// arguments.
  struct instruction final {
    operation is;
    std::uint8_t to = 0, a = 0, b = 0, c = 0;
    code function = 0;
    double number = 0;
  };
  std::vector<instruction> instructions;  ///< the last one makes the result
  std::uint8_t registers = 0, operands = 0;

  /// A program has at most one instruction that goes over tokens.
  std::optional<operation> scan() const {
    for (const instruction& n : instructions)
      if (n.is >= operation::scan) return n.is;
    return std::nullopt;
  }
};

}  // namespace alphaform

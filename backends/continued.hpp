// Implicit attention of a text that comes in stretches: y = H x + r of each, where r also holds what the state before
// it contributes.
#pragma once
#include <alphaform/backends/attention.hpp>

namespace alphaform {

template <class T>
class continued_attention final {
 public:
  /// @param formula  from formula_of; must outlive this
  continued_attention(const bound_formula& formula, const kernels<T>& backend) : f_(formula), backend_(backend) {}
  continued_attention(const bound_formula&&, const kernels<T>&) = delete;

  /// Of one stretch of tokens: y by its recurrence from the state before, H x of these tokens alone, and r.
  struct stretch final {
    tensor<T> y, Hx, r;
  };
  /// @param env  parameters, and inputs of the next tokens, "x" among them; it is followed by the next call's
  /// @throws user_error for an operator that needs the whole text
  stretch next(const environment<T>& env);

 private:
  const bound_formula& f_;
  const kernels<T>& backend_;
  carried<T> output_, formula_, remainder_;  // each evaluation carries its own states, in its own order
};

}  // namespace alphaform

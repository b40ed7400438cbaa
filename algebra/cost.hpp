// What an operator costs to apply, counted on its expression: sums of products of the sizes T, H, C, N, R and of the
// filter length K.
#pragma once
#include <alphaform/algebra/term_view.hpp>
#include <map>
#include <optional>
#include <string>

namespace alphaform {

/// A polynomial in sizes: the letters of each monomial, sorted, and its coefficient.
class size_polynomial final {
 public:
  size_polynomial() = default;
  static size_polynomial monomial(const std::string& letters, long times = 1);

  size_polynomial& operator+=(const size_polynomial& other);
  size_polynomial operator*(const std::string& letters) const;
  /// Divided by one letter, of which every monomial has one.
  size_polynomial over(char letter) const;
  /// "C·(5·N + 2·K + 2)": common letters in front.
  std::string text() const;
  /// The same without coefficients and without what another monomial outgrows: "C·(N + K)".
  size_polynomial order() const;

 private:
  std::map<std::string, long> terms_;
};

/// An operator on streams with given axes, for one token, its controls already evaluated.
struct application final {
  size_polynomial operations;  ///< multiplications and additions
  size_polynomial memory;      ///< numbers carried from token to token
  axes to{};                   ///< axes of the result
  bool mixes_tokens = false, mixes_channels = false, causal = true;
};

/// @throws user_error when a marker F is left in the operator
application application_of(const term_view& v, axes in);

/// Operations of P x for all tokens, such as "T·C·(5·N + 2·K + 2)"; none while a marker is left in P.
std::optional<std::string> operations_of(const term_view& v);

}  // namespace alphaform

// What an operator costs to apply, counted on its expression: sums of products of the sizes T, H, C, N, R and of the
// filter length K. A complex number counts as its two parts.
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
  /// Divided by one letter, where a monomial has it.
  size_polynomial over(char letter) const;
  /// "C·(5·N + 2·K + 2)": common letters in front.
  std::string text() const;
  /// The same without coefficients and without what another monomial outgrows: "C·(N + K)".
  size_polynomial order() const;

 private:
  std::map<std::string, long> terms_;
};

/// Which tokens a token's result is made of.
struct reach final {
  bool earlier = false, later = false;
  bool flipped = false;  ///< the result is in the reversed order of tokens

  bool own_token_only() const { return !earlier && !later; }
};

/// An operator on streams with given axes, for one token, its controls already evaluated.
struct application final {
  size_polynomial operations;  ///< multiplications, additions and exponentials
  size_polynomial memory;      ///< numbers carried from token to token
  axes to{};                   ///< axes of the result
  reach reads{};               ///< beside its own token
  axes mixes{};                ///< along which entries of one token are mixed; also those made and summed inside
};

/// F(s) counts as what it stands for: the operators and activations on the value path of s.
/// @throws user_error for the markers J and G, of which the number of paths is not known yet
application application_of(const term_view& v, axes in);

/// Operations of P x for all tokens, such as "T·C·(5·N + 2·K + 2)"; none while a marker J or G is left in P.
std::optional<std::string> operations_of(const term_view& v, axes in);

}  // namespace alphaform

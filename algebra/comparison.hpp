// Two implicit attentions side by side: which factors they share, which are of one kind, and which stand in another
// order, with the unsound rule that forbids to exchange them.
#pragma once
#include <alphaform/algebra/classify.hpp>

namespace alphaform {

/// How near two factors are.
enum class likeness : std::uint8_t {
  none,       ///< one side only
  same_role,  ///< they do the same in another way
  same_kind,  ///< the same term but for the names of inputs and parameters
  same
};
std::string_view text_of(likeness l);

/// A place in each list of factors, or -1 where a side has no such factor.
struct aligned_factors final {
  int left = -1, right = -1;
  likeness is = likeness::none;
};

/// Two kinds of factor that stand in another order on the two sides.
struct exchanged_factors final {
  int first = -1, second = -1;     ///< places on the left side, in its order
  node_index forbidding = absent;  ///< the unsound row of `rules`, if one is known
};

/// Both sides in normal form.
struct comparison final {
  attention_properties left, right;
  std::vector<aligned_factors> factors;  ///< in order, as many alike as possible
  std::vector<exchanged_factors> exchanged;
};

/// The same for two terms that differ in the names of inputs and parameters, or in repetition, only.
std::string kind_of(const term_view& v);

/// @param left_value, right_value  the axes of the value inputs
comparison compare(const expr& left, axes left_value, const expr& right, axes right_value);

}  // namespace alphaform

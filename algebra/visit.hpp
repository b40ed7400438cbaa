// One meaning per term: calls the visitor's overload for the term of a node. A visitor that lacks an overload does not
// compile, so a new term says what it means in every printer, witness and table before anything links.
#pragma once
#include <alphaform/algebra/terms.hpp>
#include <array>
#include <concepts>

namespace alphaform {

/// For an overload that several terms share.
template <class Term, class... Of>
concept among = (std::same_as<Term, Of> || ...);

/// Operators that only patterns and results of rules have.
template <class Term>
concept only_in_rules = among<Term, terms::any_operator, terms::spread, terms::repeat_made, terms::repeat_consumed,
                              terms::sum_made, terms::sum_consumed>;

/// visitor(terms::scan{}) for the code of Scan, and so on.
template <class Result, class Visitor>
Result visit(code term, Visitor& visitor) {
  static constexpr auto meanings = tabulate(terms_tuple, [](auto t) {
    using entry = decltype(t);
    return +[](Visitor& v) -> Result { return v(entry{}); };
  });
  return meanings[term](visitor);
}

}  // namespace alphaform

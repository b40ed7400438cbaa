// The terms that an expression is made of: streams, operators (linear maps of streams), markers and the symbols of
// rules. A new term is a type here and a place in the tuple. Printers and the dense witness visit every term and do not
// compile while one is missing; the engine refuses a term that it does not know; what a term obeys is in rules/.
#pragma once
#include <alphaform/algebra/vocabulary.hpp>
#include <string_view>

namespace alphaform {

enum class sort : std::uint8_t { stream, operation };

namespace terms {

using text = std::string_view;
struct of_stream {
  static constexpr sort is = sort::stream;
};
struct of_operation {
  static constexpr sort is = sort::operation;
};

// clang-format off
// ---- streams
struct input final : of_stream { static constexpr text name = "input"; };         ///< [T, axes], by name
struct parameter final : of_stream { static constexpr text name = "parameter"; };  ///< [axes], by name
struct number final : of_stream { static constexpr text name = "number"; };       ///< a constant; its decimals are the id
struct one final : of_stream { static constexpr text name = "1"; };               ///< 1 everywhere
struct nothing final : of_stream { static constexpr text name = "0"; };           ///< 0 everywhere
struct inverse_size final : of_stream { static constexpr text name = "1/n"; };    ///< 1 / (entries of an axis)
struct function final : of_stream { static constexpr text name = "function"; };   ///< f(x), pointwise
struct times final : of_stream { static constexpr text name = "times"; };         ///< x y, pointwise
struct plus final : of_stream { static constexpr text name = "plus"; };           ///< x + y, pointwise
struct larger final : of_stream { static constexpr text name = "max"; };          ///< max(x, y), pointwise
struct applied final : of_stream { static constexpr text name = "applied"; };     ///< P x
struct held final : of_stream { static constexpr text name = "held"; };           ///< x, of which derivatives see a constant
struct peak final : of_stream { static constexpr text name = "peak"; };           ///< p_t = max(p_{t-1} + x_t, y_t)
struct prior_peak final : of_stream { static constexpr text name = "peak-"; };    ///< p_{t-1} of the same, -1e38 first

// ---- operators on the tokens or axes of a stream, leaves
struct identity final : of_operation { static constexpr text name = "I"; };
struct zero final : of_operation { static constexpr text name = "0"; };
struct diag final : of_operation { static constexpr text name = "Diag"; };        ///< y = s x, pointwise
struct conv final : of_operation { static constexpr text name = "Conv"; };        ///< y_t = sum_k w_{K-1-k} x_{t-k}
struct lags final : of_operation { static constexpr text name = "Lags"; };        ///< y_{t,k} = x_{t-(K-1-k)}, K as w has
struct delay final : of_operation { static constexpr text name = "Delay"; };      ///< y_t = x_{t-1}, y_0 = 0
struct reverse final : of_operation { static constexpr text name = "Reverse"; };  ///< y_t = x_{T-1-t}
struct permute final : of_operation { static constexpr text name = "Permute"; };  ///< y_t = x_{order[t]}, a parameter [T]
struct mix final : of_operation { static constexpr text name = "Mix"; };          ///< y = W x, over one axis
struct expand final : of_operation { static constexpr text name = "Expand"; };    ///< repeats along new axes
struct contract final : of_operation { static constexpr text name = "Contract"; };  ///< sums axes away
struct every_token final : of_operation { static constexpr text name = "Expand_T"; };   ///< [axes] repeated for all tokens
struct over_tokens final : of_operation { static constexpr text name = "Contract_T"; };  ///< the sum over all tokens
struct embed final : of_operation { static constexpr text name = "Complex"; };    ///< x to the complex number x + 0 i
struct real final : of_operation { static constexpr text name = "Re"; };          ///< the real part
struct turn final : of_operation { static constexpr text name = "Turn"; };        ///< (x, y) to (-y, x): halves of an axis
struct attend final : of_operation { static constexpr text name = "Attend"; };    ///< y_t = sum_{s<=t} exp(q_t k_s) x_s; id: a window

// ---- operators made of operators
struct scan final : of_operation { static constexpr text name = "Scan"; };        ///< h_t = P_t h_{t-1} + x_t
struct rownorm final : of_operation { static constexpr text name = "RowNorm"; };  ///< P, each row divided by its sum
struct bounded_rownorm final : of_operation { static constexpr text name = "RowNorm1"; };  ///< ... by max(|sum|, 1)
struct adjoint final : of_operation { static constexpr text name = "Adjoint"; };  ///< the transpose
struct sum final : of_operation { static constexpr text name = "sum"; };          ///< P + Q
struct paths final : of_operation { static constexpr text name = "paths"; };      ///< P + Q, over which products distribute
struct product final : of_operation { static constexpr text name = "product"; };  ///< P Q: the right factor acts first

// ---- markers: one that is left over after normalising is a refusal. The second argument is the stream v, an input, a
//      parameter or any other, with respect to which it is meant.
struct frozen final : of_operation { static constexpr text name = "F"; };         ///< derivative along the value path
struct derivative final : of_operation { static constexpr text name = "J"; };     ///< the true derivative
struct controls final : of_operation { static constexpr text name = "G"; };       ///< J - F: through what controls
struct remainder final : of_stream { static constexpr text name = "R"; };         ///< what F leaves: s = F(s) v + R(s)
struct retimed final : of_operation { static constexpr text name = "Retimed"; };  ///< P one token later in reversed time

// ---- only in patterns and results of rules
struct any_stream final : of_stream { static constexpr text name = "?"; };        ///< stands for any stream
struct any_operator final : of_operation { static constexpr text name = "?"; };   ///< stands for any operator
struct ones_for final : of_stream { static constexpr text name = "1"; };          ///< ones that the operator accepts
struct spread final : of_operation { static constexpr text name = "Expand"; };    ///< along the axes that x lacks of y's
struct repeat_made final : of_operation { static constexpr text name = "Expand"; };        ///< along what P makes
struct repeat_consumed final : of_operation { static constexpr text name = "Expand"; };    ///< along what P consumes
struct sum_made final : of_operation { static constexpr text name = "Contract"; };         ///< over what P makes
struct sum_consumed final : of_operation { static constexpr text name = "Contract"; };     ///< over what P consumes
// clang-format on

}  // namespace terms

inline constexpr auto terms_tuple = hana::make_tuple(
    terms::input{}, terms::parameter{}, terms::number{}, terms::one{}, terms::nothing{}, terms::inverse_size{},
    terms::function{}, terms::times{}, terms::plus{}, terms::larger{}, terms::applied{}, terms::held{}, terms::peak{},
    terms::prior_peak{}, terms::identity{}, terms::zero{}, terms::diag{}, terms::conv{}, terms::lags{}, terms::delay{},
    terms::reverse{}, terms::permute{}, terms::mix{}, terms::expand{}, terms::contract{}, terms::every_token{},
    terms::over_tokens{}, terms::embed{}, terms::real{}, terms::turn{}, terms::attend{}, terms::scan{},
    terms::rownorm{}, terms::bounded_rownorm{}, terms::adjoint{}, terms::sum{}, terms::paths{}, terms::product{},
    terms::frozen{}, terms::derivative{}, terms::controls{}, terms::remainder{}, terms::retimed{}, terms::any_stream{},
    terms::any_operator{}, terms::ones_for{}, terms::spread{}, terms::repeat_made{}, terms::repeat_consumed{},
    terms::sum_made{}, terms::sum_consumed{});

struct term_row final {
  std::string_view name;
  sort is;
};
inline constexpr auto term_table = tabulate(terms_tuple, [](auto t) {
  return term_row{decltype(t)::name, decltype(t)::is};
});

template <class Term>
inline constexpr code term_code = place<Term>(terms_tuple);

/// Is `c` the code of one of the terms?
template <class... Term>
constexpr bool one_of(code c) {
  return ((c == term_code<Term>) || ...);
}

}  // namespace alphaform

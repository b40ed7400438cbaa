// The terms that an expression is made of: streams, operators (linear maps of streams), markers and the wildcards of
// patterns. A new term is a type here and a place in the tuple. Printers and the dense witness visit every term and do
// not compile while one is missing; the engine refuses a term that it does not know; what a term obeys is in rules.hpp.
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
struct one final : of_stream { static constexpr text name = "1"; };               ///< 1 everywhere
struct nothing final : of_stream { static constexpr text name = "0"; };           ///< 0 everywhere
struct inverse_size final : of_stream { static constexpr text name = "1/n"; };    ///< 1 / (entries of an axis)
struct function final : of_stream { static constexpr text name = "function"; };   ///< f(x), pointwise
struct times final : of_stream { static constexpr text name = "times"; };         ///< x y, pointwise
struct plus final : of_stream { static constexpr text name = "plus"; };           ///< x + y, pointwise
struct larger final : of_stream { static constexpr text name = "max"; };          ///< max(x, y), pointwise
struct applied final : of_stream { static constexpr text name = "applied"; };     ///< P x
struct peak final : of_stream { static constexpr text name = "peak"; };           ///< p_t = max(p_{t-1} + x_t, y_t)
struct prior_peak final : of_stream { static constexpr text name = "peak-"; };    ///< p_{t-1} of the same, -1e38 first

// ---- operators
struct identity final : of_operation { static constexpr text name = "I"; };
struct zero final : of_operation { static constexpr text name = "0"; };
struct diag final : of_operation { static constexpr text name = "Diag"; };        ///< y = s x, pointwise
struct conv final : of_operation { static constexpr text name = "Conv"; };        ///< y_t = sum_k w_{K-1-k} x_{t-k}
struct delay final : of_operation { static constexpr text name = "Delay"; };      ///< y_t = x_{t-1}, y_0 = 0
struct scan final : of_operation { static constexpr text name = "Scan"; };        ///< h_t = P_t h_{t-1} + x_t
struct mix final : of_operation { static constexpr text name = "Mix"; };          ///< y = W x, over one axis
struct expand final : of_operation { static constexpr text name = "Expand"; };    ///< repeats along new axes
struct contract final : of_operation { static constexpr text name = "Contract"; };  ///< sums axes away
struct rownorm final : of_operation { static constexpr text name = "RowNorm"; };  ///< P with rows that sum to one
struct sum final : of_operation { static constexpr text name = "sum"; };          ///< P + Q
struct product final : of_operation { static constexpr text name = "product"; };  ///< P Q: the right factor acts first

// ---- markers: one that is left over after normalising is a refusal
struct frozen final : of_operation { static constexpr text name = "F"; };         ///< derivative, controls frozen
struct remainder final : of_stream { static constexpr text name = "R"; };         ///< what F leaves: s = F(s) x + R(s)

// ---- only in patterns and results of rules
struct any_stream final : of_stream { static constexpr text name = "?"; };        ///< stands for any stream
struct any_operator final : of_operation { static constexpr text name = "?"; };   ///< stands for any operator
struct ones_for final : of_stream { static constexpr text name = "1"; };          ///< ones that the operator accepts
// clang-format on

}  // namespace terms

inline constexpr auto terms_tuple = hana::make_tuple(
    terms::input{}, terms::parameter{}, terms::one{}, terms::nothing{}, terms::inverse_size{}, terms::function{},
    terms::times{}, terms::plus{}, terms::larger{}, terms::applied{}, terms::peak{}, terms::prior_peak{},
    terms::identity{}, terms::zero{}, terms::diag{}, terms::conv{}, terms::delay{}, terms::scan{}, terms::mix{},
    terms::expand{}, terms::contract{}, terms::rownorm{}, terms::sum{}, terms::product{}, terms::frozen{},
    terms::remainder{}, terms::any_stream{}, terms::any_operator{}, terms::ones_for{});

struct term_row final {
  std::string_view name;
  sort is;
};
inline constexpr auto term_table = tabulate(terms_tuple, [](auto t) {
  return term_row{decltype(t)::name, decltype(t)::is};
});

template <class Term>
inline constexpr code term_code = place<Term>(terms_tuple);

}  // namespace alphaform

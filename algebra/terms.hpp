// The terms that an expression is made of: streams, operators (linear maps of streams), markers and the wildcards of
// patterns. A new term is a type here and a place in the tuple; what it means is said once more by each backend's
// `visit(term, ...)`, which does not compile while it is missing, and what it obeys is said by rows of rules.hpp.
#pragma once
#include <alphaform/algebra/vocabulary.hpp>
#include <string_view>

namespace alphaform {

enum class sort : std::uint8_t { stream, operation };

namespace terms {
using sv = std::string_view;

// ---- streams
struct input final {
  static constexpr sv name = "input";
  static constexpr sort is = sort::stream;
};  ///< [T, axes], by name
struct parameter final {
  static constexpr sv name = "parameter";
  static constexpr sort is = sort::stream;
};  ///< [axes], by name
struct one final {
  static constexpr sv name = "1";
  static constexpr sort is = sort::stream;
};  ///< 1 everywhere
struct nothing final {
  static constexpr sv name = "0";
  static constexpr sort is = sort::stream;
};  ///< 0 everywhere
struct inverse_size final {
  static constexpr sv name = "1/n";
  static constexpr sort is = sort::stream;
};  ///< 1 / (entries of an axis)
struct function final {
  static constexpr sv name = "function";
  static constexpr sort is = sort::stream;
};  ///< f(x), pointwise
struct times final {
  static constexpr sv name = "times";
  static constexpr sort is = sort::stream;
};  ///< x y, pointwise
struct plus final {
  static constexpr sv name = "plus";
  static constexpr sort is = sort::stream;
};  ///< x + y, pointwise
struct larger final {
  static constexpr sv name = "max";
  static constexpr sort is = sort::stream;
};  ///< max(x, y), pointwise
struct applied final {
  static constexpr sv name = "applied";
  static constexpr sort is = sort::stream;
};  ///< P x
struct peak final {
  static constexpr sv name = "peak";
  static constexpr sort is = sort::stream;
};  ///< p_t = max(p_{t-1} + x_t, y_t)
struct prior_peak final {
  static constexpr sv name = "peak-";
  static constexpr sort is = sort::stream;
};  ///< p_{t-1} of the same, -1e38 first

// ---- operators
struct identity final {
  static constexpr sv name = "I";
  static constexpr sort is = sort::operation;
};
struct zero final {
  static constexpr sv name = "0";
  static constexpr sort is = sort::operation;
};
struct diag final {
  static constexpr sv name = "Diag";
  static constexpr sort is = sort::operation;
};  ///< y = s x, pointwise
struct conv final {
  static constexpr sv name = "Conv";
  static constexpr sort is = sort::operation;
};  ///< y_t = sum_k w_{K-1-k} x_{t-k}
struct delay final {
  static constexpr sv name = "Delay";
  static constexpr sort is = sort::operation;
};  ///< y_t = x_{t-1}, y_0 = 0
struct scan final {
  static constexpr sv name = "Scan";
  static constexpr sort is = sort::operation;
};  ///< h_t = P_t h_{t-1} + x_t
struct mix final {
  static constexpr sv name = "Mix";
  static constexpr sort is = sort::operation;
};  ///< y = W x, over one axis
struct expand final {
  static constexpr sv name = "Expand";
  static constexpr sort is = sort::operation;
};  ///< repeats along new axes
struct contract final {
  static constexpr sv name = "Contract";
  static constexpr sort is = sort::operation;
};  ///< sums axes away
struct rownorm final {
  static constexpr sv name = "RowNorm";
  static constexpr sort is = sort::operation;
};  ///< P with rows that sum to one
struct sum final {
  static constexpr sv name = "sum";
  static constexpr sort is = sort::operation;
};
struct product final {
  static constexpr sv name = "product";
  static constexpr sort is = sort::operation;
};  ///< the right factor acts first

// ---- markers: one that is left over after normalising is a refusal
struct frozen final {
  static constexpr sv name = "F";
  static constexpr sort is = sort::operation;
};  ///< derivative, controls frozen
struct remainder final {
  static constexpr sv name = "R";
  static constexpr sort is = sort::stream;
};  ///< what F leaves: s = F(s) x + R(s)

// ---- only in patterns
struct any_stream final {
  static constexpr sv name = "?";
  static constexpr sort is = sort::stream;
};
struct any_operator final {
  static constexpr sv name = "?";
  static constexpr sort is = sort::operation;
};
struct ones_for final {
  static constexpr sv name = "1";
  static constexpr sort is = sort::stream;
};  ///< result only: ones that P accepts
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

// Factors that may change places, kind by kind. Whether two factors do is decided by what each mixes and along what
// each varies (`commute` in properties.hpp), which the order of the normal form asks directly (order.hpp); the rows say
// it in words and are tested to say the same.
#pragma once
#include <alphaform/algebra/rules/symbols.hpp>

namespace alphaform::rows {

constexpr signature of(const workspace& g, const binding& b, std::string_view symbol) {
  return signature_of(g, b[symbol]);
}
constexpr bool they_commute(const workspace& g, const binding& b) { return commute(of(g, b, "p"), of(g, b, "q")); }
constexpr bool pointwise(const signature& s) { return s.known && !s.mixes_tokens && s.mixes == no_axes; }
constexpr bool within_tokens(const signature& s) { return s.known && !s.mixes_tokens && s.mixes != no_axes; }
constexpr bool across_tokens(const signature& s) { return s.known && s.mixes_tokens; }

/// P and Q are of these kinds, and commute.
template <bool (*First)(const signature&), bool (*Second)(const signature&)>
constexpr bool kinds_commute(const workspace& g, const binding& b) {
  return First(of(g, b, "p")) && Second(of(g, b, "q")) && they_commute(g, b);
}

inline constexpr auto commuting_rows = [] {
  constexpr auto k = rule_class::commuting;
  const side pq = then(p, q), qp = then(q, p);
  return std::array{
      row("pointwise operators", pq, qp, k, "products of numbers", "",
          {"P and Q are pointwise, as Diag is", kinds_commute<pointwise, pointwise>, "pq"}),
      row("filters", pq, qp, k, "convolutions commute",
          "Filters with the same weights for every token, zero outside, commute if they look the same way.",
          {"P and Q are time-invariant filters that look the same way, and neither mixes along what the other mixes or "
           "varies",
           kinds_commute<across_tokens, across_tokens>, "pq"}),
      row("constant Diag and token operator", pq, qp, k, "scaling a channel",
          "A factor that is the same for every token passes an operator that works channel by channel.",
          {"P is pointwise and the same for every token, and Q mixes tokens but nothing along which P differs",
           kinds_commute<pointwise, across_tokens>, "pq"}),
      row("token Diag and channel operator", pq, qp, k, "scaling a token",
          "A factor that is the same along an axis passes an operator that mixes that axis within a token.",
          {"P is pointwise, and Q works within a token and mixes nothing along which P differs",
           kinds_commute<pointwise, within_tokens>, "pq"}),
      row("token operator and channel operator", pq, qp, k, "P on tokens, Q within them",
          "An operator that is the same along an axis passes one that mixes that axis, and P_c so passes a head's H.",
          {"P mixes tokens alike for all that Q mixes, and Q is the same for every token",
           kinds_commute<across_tokens, within_tokens>, "pq"}),
      row("operators on different axes", pq, qp, k, "P and Q on different axes", "",
          {"P and Q work within a token, and neither mixes along what the other mixes or varies",
           kinds_commute<within_tokens, within_tokens>, "pq"}),
  };
}();

}  // namespace alphaform::rows

// H without the factors of one role, or with those of one role only: the rows of the paper's Table 4, and Fig. 5.
#pragma once
#include <alphaform/algebra/roles.hpp>
#include <string>

namespace alphaform {

/// The roles that occur in an operator, one bit each.
struct role_set final {
  std::uint16_t bits = 0;
  constexpr bool has(role r) const { return (bits >> static_cast<unsigned>(r) & 1u) != 0; }
  constexpr role_set with(role r) const { return {static_cast<std::uint16_t>(bits | 1u << static_cast<unsigned>(r))}; }
};

/// "filter, gate, core"
inline std::string text_of(role_set set) {
  std::string text;
  for (std::size_t k = 0; k < role_names.size(); ++k)
    if (set.has(static_cast<role>(k))) text += (text.empty() ? "" : ", ") + std::string(role_names[k]);
  return text;
}

template <std::size_t N>
constexpr role_set roles_in(const term_in<N>& H, std::string_view value = value_input) {
  workspace g;
  role_set found;
  const node_index root = roles::opened(g, g.take(H.g, H.root));
  map_roles(g, root, value, [&found](role r, node_index unit) {
    found = found.with(r);
    return unit;
  });
  return found;
}

namespace roles {

[[noreturn]] inline void refuse(role wanted, role_set found, std::string_view whose) {
  const std::string H = whose.empty() ? "H" : "H of " + std::string(whose);
  throw user_error(H + " has no " + std::string(text_of(wanted)) + "; it has " + text_of(found));
}

/// H with every factor for which `drop` holds replaced by the identity, and every such skip by 0.
template <std::size_t N, class Drop>
constexpr term_in<N> reduced(const term_in<N>& H, std::string_view value, Drop drop) {
  workspace g;
  const node_index root = opened(g, g.take(H.g, H.root));
  const node_index kept = map_roles(g, root, value, [&](role r, node_index unit) {
    if (!drop(r)) return unit;
    if (r == role::skip) return g.put({.term = term_code<terms::zero>, .to = g[unit].to, .from = g[unit].from});
    return g.put({.term = term_code<terms::identity>});
  });
  term_in<N> result;
  result.root = result.g.take(g, exhaust(g, kept, bookkeeping));
  return result;
}

}  // namespace roles

/// H with every factor of the role replaced by the identity; a skip is dropped from its sum.
/// @param whose  the architecture, for the error
/// @throws user_error that lists the roles of H when the role does not occur
template <std::size_t N>
constexpr term_in<N> without(const term_in<N>& H, role left_out, std::string_view whose = {},
                             std::string_view value = value_input) {
  if (const role_set found = roles_in(H, value); !found.has(left_out)) roles::refuse(left_out, found, whose);
  return roles::reduced(H, value, [left_out](role r) { return r == left_out; });
}

/// H with nothing but the factors of the role: only(H, role::core) is the recurrence alone.
/// @throws user_error as `without`
template <std::size_t N>
constexpr term_in<N> only(const term_in<N>& H, role left, std::string_view whose = {},
                          std::string_view value = value_input) {
  if (const role_set found = roles_in(H, value); !found.has(left)) roles::refuse(left, found, whose);
  return roles::reduced(H, value, [left](role r) { return r != left; });
}

}  // namespace alphaform

// Every rule that alphaform knows, one row each, class by class; and where to look for those of one term.
#pragma once
#include <alphaform/algebra/rules/adjoint.hpp>
#include <alphaform/algebra/rules/canonical.hpp>
#include <alphaform/algebra/rules/commuting.hpp>
#include <alphaform/algebra/rules/derivative.hpp>
#include <alphaform/algebra/rules/planning.hpp>
#include <alphaform/algebra/rules/unsound.hpp>

namespace alphaform {

/// All rows, in the order of their lists.
template <std::size_t Size>
class rule_list final {
 public:
  template <std::size_t... Part>
  explicit constexpr rule_list(const std::array<rule, Part>&... part) {
    std::size_t k = 0;
    const auto append = [&](const auto& rows) {
      for (const rule& r : rows) all_[k++] = &r;
    };
    (append(part), ...);
  }
  class iterator final {
   public:
    explicit constexpr iterator(const rule* const* at) : at_(at) {}
    constexpr const rule& operator*() const { return **at_; }
    constexpr iterator& operator++() { return ++at_, *this; }
    constexpr bool operator==(const iterator&) const = default;

   private:
    const rule* const* at_;
  };
  static constexpr std::size_t size() { return Size; }
  constexpr const rule& operator[](std::size_t k) const { return *all_[k]; }
  constexpr iterator begin() const { return iterator(all_.data()); }
  constexpr iterator end() const { return iterator(all_.data() + Size); }

 private:
  std::array<const rule*, Size> all_{};
};
template <std::size_t... Part>
rule_list(const std::array<rule, Part>&...) -> rule_list<(Part + ...)>;

inline constexpr rule_list rules(rows::frozen_rows, rows::remainder_rows, rows::control_rows, rows::slope_rows,
                                 rows::derivative_rows, rows::adjoint_rows, rows::canonical_rows, rows::commuting_rows,
                                 rows::stabilising_rows, rows::planning_rows, rows::unsound_rows);

/// The rules whose pattern starts with a given term, in the order of `rules`.
struct rules_by_term final {
  std::array<std::uint16_t, term_table.size() + 1> begin{};
  std::array<std::uint8_t, rules.size()> rule{};
};
inline constexpr rules_by_term rule_index = [] {
  rules_by_term index;
  std::uint16_t k = 0;
  for (std::size_t t = 0; t < term_table.size(); ++t) {
    index.begin[t] = k;
    for (std::size_t u = 0; u < rules.size(); ++u)
      if (rules[u].pattern.top().term == t) index.rule[k++] = static_cast<std::uint8_t>(u);
  }
  index.begin[term_table.size()] = k;
  return index;
}();
static_assert(rules.size() < 255);

}  // namespace alphaform

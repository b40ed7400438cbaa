#include <algorithm>
#include <alphaform/algebra/comparison.hpp>

namespace alphaform {
namespace {

/// The term without labels, as text; either with the names and axes of what occurs in it, or with neither.
std::string structure(const term_view& v, bool exactly) {
  const node& n = v.top();
  const bool repeats = !exactly && n.b != absent && v[n.a].is<terms::expand>();  // Expand s, or Expand P
  if (repeats) return structure(v.at(n.b), exactly);
  std::string text = std::to_string(n.term) + "." + std::to_string(n.function);
  if (exactly) text += "." + std::to_string(n.to.bits) + "." + std::to_string(n.from.bits);
  if (exactly || n.is<terms::number>()) text += std::string(n.id);
  if (n.is<terms::inverse_size>()) return text;
  for (const node_index argument : {n.a, n.b})
    if (argument != absent) text += "(" + structure(v.at(argument), exactly) + ")";
  return text;
}

struct described final {
  role is;
  std::string exact, kind;
};
std::vector<described> described_factors(const attention_properties& p) {
  std::vector<described> all;
  const term_view v = p.H;
  for (const factor_properties& f : p.factors)
    all.push_back({f.is, structure(v.at(f.what), true), structure(v.at(f.what), false)});
  return all;
}
likeness alike(const described& a, const described& b) {
  if (a.exact == b.exact) return likeness::same;
  if (a.kind == b.kind) return likeness::same_kind;
  return a.is == b.is && a.is != role::other ? likeness::same_role : likeness::none;
}

/// The alignment of the two lists that has the most likeness, as of a longest common subsequence.
std::vector<aligned_factors> aligned(const std::vector<described>& a, const std::vector<described>& b) {
  std::vector<std::vector<int>> best(a.size() + 1, std::vector<int>(b.size() + 1, 0));
  for (std::size_t i = a.size(); i-- > 0;)
    for (std::size_t k = b.size(); k-- > 0;) {
      const int near = static_cast<int>(alike(a[i], b[k]));
      best[i][k] = std::max({best[i + 1][k], best[i][k + 1], near > 0 ? near + best[i + 1][k + 1] : 0});
    }
  std::vector<aligned_factors> rows;
  std::size_t i = 0, k = 0;
  while (i < a.size() || k < b.size()) {
    const likeness near = i < a.size() && k < b.size() ? alike(a[i], b[k]) : likeness::none;
    if (near != likeness::none && best[i][k] == static_cast<int>(near) + best[i + 1][k + 1]) {
      rows.push_back({static_cast<int>(i++), static_cast<int>(k++), near});
    } else if (i < a.size() && (k == b.size() || best[i][k] == best[i + 1][k])) {
      rows.push_back({static_cast<int>(i++), -1, likeness::none});
    } else {
      rows.push_back({-1, static_cast<int>(k++), likeness::none});
    }
  }
  return rows;
}

/// The operators that a factor is made of, leaves and recurrences.
void parts_of_factor(const workspace& g, node_index i, buffer<node_index>& parts) {
  const bool opened = one_of<terms::product, terms::sum, terms::paths>(g[i].term);
  if (!opened) return parts.push_back(i);
  parts_of_factor(g, g[i].a, parts);
  parts_of_factor(g, g[i].b, parts);
}

/// The unsound row that would exchange something of p with something of q.
node_index forbidding_row(workspace& g, node_index p, node_index q) {
  buffer<node_index> left, right;
  parts_of_factor(g, p, left);
  parts_of_factor(g, q, right);
  for (std::size_t u = 0; u < rules.size(); ++u) {
    if (rules[u].is != rule_class::unsound || !rules[u].pattern.top().is<terms::product>()) continue;
    for (const node_index a : left)
      for (const node_index b : right)
        for (const auto& [first, second] : {std::pair{a, b}, std::pair{b, a}}) {
          const node_index both = g.put(inferred(g, {.term = term_code<terms::product>, .a = first, .b = second}));
          if (fire(rules[u], g, both) != absent) return static_cast<node_index>(u);
        }
  }
  return absent;
}

attention_properties in_normal_form(const expr& H, axes value) { return classify(normal(H), value); }

}  // namespace

std::string_view text_of(likeness l) {
  constexpr std::array names{"one side only", "same role", "same kind", "the same"};
  return names[static_cast<std::size_t>(l)];
}

std::string kind_of(const term_view& v) { return structure(v, false); }

comparison compare(const expr& left, axes left_value, const expr& right, axes right_value) {
  comparison c{in_normal_form(left, left_value), in_normal_form(right, right_value), {}, {}};
  const std::vector<described> a = described_factors(c.left), b = described_factors(c.right);
  c.factors = aligned(a, b);
  const auto only_one = [](const std::vector<described>& list, role r) {
    const auto has_role = [r](const described& d) { return d.is == r; };
    const auto at = std::find_if(list.begin(), list.end(), has_role);
    return std::count_if(list.begin(), list.end(), has_role) == 1 ? static_cast<int>(at - list.begin()) : -1;
  };
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = i + 1; k < a.size(); ++k) {
      if (only_one(a, a[i].is) < 0 || only_one(a, a[k].is) < 0) continue;
      const int first = only_one(b, a[i].is), second = only_one(b, a[k].is);
      if (first < 0 || second < 0 || first < second) continue;
      c.exchanged.push_back({static_cast<int>(i), static_cast<int>(k),
                             forbidding_row(c.left.H.g, c.left.factors[i].what, c.left.factors[k].what)});
    }
  return c;
}

}  // namespace alphaform

#include <fmt/core.h>

#include <algorithm>
#include <alphaform/algebra/comparison.hpp>
#include <alphaform/algebra/naming.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/reference/scan_law.hpp>
#include <alphaform/explain/traits.hpp>

namespace alphaform {
namespace {

constexpr std::array letters{"M", "Z", "G", "alpha", "S", "D", "N", "W", "O"};  // in the order of role

bool is_input(const node& n) { return n.is<terms::input>(); }

/// "per head and key channel", "one number"
std::string per(axes a, axes value) {
  if ((a - part) == no_axes) return "one number";
  std::string text;
  for (const axis_letter& l : axis_letters) {
    if (!(a - part).contains(l.axis)) continue;
    const bool key = l.axis == state && value.contains(head) && !a.contains(chan);
    text += fmt::format("{}{}", text.empty() ? "per " : " and ",
                        key               ? "key channel"
                        : l.axis == state ? "state entry"
                                          : l.word);
  }
  return text;
}

/// Every operator in the term for which `is` holds, left to right; not those that control.
template <class Predicate>
void operators(const term_view& v, node_index i, Predicate is, std::vector<node_index>& found) {
  const node& n = v[i];
  if (is(n)) found.push_back(i);
  if (!is_composite(n)) return;
  operators(v, n.a, is, found);
  if (n.b != absent) operators(v, n.b, is, found);
}
template <class Predicate>
std::vector<node_index> operators(const term_view& v, Predicate is) {
  std::vector<node_index> found;
  operators(v, v.root, is, found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

/// The streams by which a transition multiplies entry by entry: its Diags outside of outer products.
void multipliers(const term_view& v, node_index i, std::vector<node_index>& found) {
  const node& n = v[i];
  if (n.is<terms::sum>()) {
    multipliers(v, n.a, found);
    multipliers(v, n.b, found);
  } else if (n.is<terms::product>()) {
    if (!occurs_in_operators(v.at(i), [](const node& k) { return k.is<terms::sum>(); }) &&
        occurs_in_operators(v.at(i), [](const node& k) { return k.is<terms::contract>(); }))
      return;
    multipliers(v, n.a, found);
    multipliers(v, n.b, found);
  } else if (n.is<terms::diag>() && !v[n.a].is<terms::number>()) {
    found.push_back(n.a);
  }
}

/// Diag(1), which forgets nothing.
bool is_one(const term_view& v, node_index i) {
  if (!v[i].is<terms::diag>()) return v[i].is<terms::identity>();
  i = v[i].a;
  while (v[i].is<terms::applied>() && v[v[i].a].is<terms::expand>()) i = v[i].b;
  return v[i].is<terms::one>() || (v[i].is<terms::number>() && v[i].id == "1");
}

std::string decay_text(const term_view& v, axes value) {
  std::string text;
  for (const node_index s : operators(v, [](const node& n) { return n.is<terms::scan>(); })) {
    const term_view transition = v.at(v[s].a);
    const auto uses = [&]<class Term>(Term) {
      return occurs_in_operators(transition, [](const node& n) { return n.is<Term>(); });
    };
    std::vector<node_index> by_entry;
    multipliers(v, transition.root, by_entry);
    axes along{};
    for (const node_index m : by_entry) along = along | differs_along(v, m);
    std::string one;
    if (uses(terms::turn{})) one = "complex, ";
    if (uses(terms::contract{})) one = "matrix (delta rule)";
    if (!uses(terms::contract{}))
      one += per(along, value);
    else if (!by_entry.empty())
      one += ", and " + per(along, value);
    one += occurs(transition, is_input) ? ", from the token" : ", fixed";
    if (is_one(v, transition.root)) one = "none";
    if (text.find(one) == text.npos) text += (text.empty() ? "" : "; ") + one;
  }
  return text;
}

/// Over which axes the statistic 1 / sqrt(mean of squares + epsilon) takes its mean.
axes meant_over(const term_view& v, node_index s) {
  for (node_index i = s; i != absent;) {
    const node& n = v[i];
    if (n.is<terms::applied>()) {
      const std::vector<node_index> sums = operators(v.at(n.a), [](const node& k) { return k.is<terms::contract>(); });
      if (!sums.empty()) return v[sums.front()].from;
      i = v[n.a].is<terms::expand>() || v[n.a].is<terms::diag>() ? n.b : static_cast<node_index>(absent);
    } else {
      i = n.is<terms::function>() || n.is<terms::plus>() ? n.a : static_cast<node_index>(absent);
    }
  }
  return no_axes;
}
std::string letters_of(axes a) {
  std::string text;
  for (const axis_letter& l : axis_letters)
    if (a.contains(l.axis)) text += (text.empty() ? "" : ", ") + std::string(l.letter);
  return text;
}

std::string normaliser_of(const attention_properties& p) {
  const term_view v = p.H;
  std::string rows, rms;
  bool centres = false;
  for (const factor_properties& f : p.factors) {
    const node& n = v[f.what];
    if (f.is == role::normaliser)
      rows = occurs(v.at(f.what), [](const node& k) { return k.is<terms::larger>(); }) ? "row sums, at least 1"
                                                                                       : "row sums";
    if (f.is == role::norm && n.is<terms::sum>()) centres = true;
    if (f.is == role::norm && n.is<terms::diag>())
      if (const axes over = meant_over(v, n.a); over != no_axes) rms = "over " + letters_of(over);
  }
  if (!rms.empty()) rms = (centres ? "mean and variance " : "RMS ") + rms;
  return rows + (rows.empty() || rms.empty() ? "" : "; ") + rms;
}

/// What the summands of a remainder start from.
void sources(const term_view& v, node_index i, std::vector<std::string>& names) {
  const node& n = v[i];
  if (n.is<terms::nothing>()) return;
  if (n.is<terms::applied>()) return sources(v, n.b, names);
  if (n.is<terms::plus>()) {
    sources(v, n.a, names);
    return sources(v, n.b, names);
  }
  const std::string name = print(v.at(i), notation::text, false);
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string memory_of(const term_view& H) {
  const auto uses = [&]<class Term>(Term) {
    return occurs_in_operators(H, [](const node& n) { return n.is<Term>(); });
  };
  if (uses(terms::attend{})) return "attention";
  return uses(terms::scan{}) ? "recurrence" : "filter";
}

std::string scan_of(const term_view& H) {
  bool any = false, parallel = true;
  for (const node_index s : operators(H, [](const node& n) { return n.is<terms::scan>(); })) {
    any = true;
    parallel = parallel && law_of_transition(H.at(H[s].a), witness({}, 1)).parallel();
  }
  return !any ? "" : parallel ? "parallel" : "token by token";
}

bool is_exclusive(const attention_properties& p) {
  for (const factor_properties& f : p.factors)
    if (f.is == role::core &&
        occurs_in_operators(term_view(p.H).at(f.what), [](const node& n) { return n.is<terms::delay>(); }))
      return true;
  return false;
}

/// H with a letter for every factor.
std::string schematic(const attention_properties& p, notation n) {
  workspace g;
  const node_index H = taken(g, p.H);
  for (node_index i = 0; i < g.size; ++i) g.labels[i] = {};
  std::vector<std::pair<node_index, role>> units;
  const node_index whole = map_roles(g, H, value_input, [&units](role r, node_index unit) {
    units.emplace_back(unit, r);
    return unit;
  });
  for (const auto& [unit, r] : units) g.labels[unit] = letters[static_cast<std::size_t>(r)];
  const bool is_one = units.size() == 1 && units.front().first == whole;
  std::string text = print({g, whole}, n, !is_one);
  for (const char* letter : letters) {  // a norm is several factors
    const std::string one = symbol_text(letter, n), between(style_of(n).then);
    for (std::size_t at = text.find(one + between + one); at != text.npos; at = text.find(one + between + one))
      text.erase(at, one.size() + between.size());
  }
  return text;
}

}  // namespace

std::string letter_of(role r, notation n) { return symbol_text(letters[static_cast<std::size_t>(r)], n); }

architecture_traits traits_of(const architecture& a, notation n) {
  architecture_traits t;
  t.of = &a;
  t.derived = derive(a.attention);
  if (t.derived.refused != absent)
    throw user_error(fmt::format("{} has no implicit attention to describe: its value path meets {}", a.name,
                                 print({t.derived, t.derived.refused}, notation::text, false)));
  const axes value = value_axes(a.attention);
  t.properties = classify({t.derived, t.derived.formula}, value);
  const term_view H = t.properties.H;
  t.formula = schematic(t.properties, n);
  t.memory = memory_of(H);
  t.decay = decay_text(H, value);
  t.read = is_exclusive(t.properties) ? "earlier tokens, own one by a bonus" : "own token too";
  t.normaliser = normaliser_of(t.properties);
  std::vector<std::string> names;
  for (const node_index s : summands_of({t.derived, t.derived.remainder})) sources({t.derived, s}, s, names);
  t.remainder = joined(names);
  const std::string& memory = t.properties.costs.front().memory;
  t.state = memory.substr(2, memory.size() - 3);  // without O( )
  t.scan = scan_of(H);
  for (const factor_properties& f : t.properties.factors) {
    const axes over = f.is == role::norm && H[f.what].is<terms::diag>() ? meant_over(H, H[f.what].a) : no_axes;
    const std::string note = over == no_axes ? "" : "the statistic over " + letters_of(over);
    t.factors.push_back({f.is, note.empty() ? kind_of(H.at(f.what)) : note, print(H.at(f.what), n, false), note});
  }
  return t;
}

}  // namespace alphaform

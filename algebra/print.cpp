#include <alphaform/algebra/print.hpp>
#include <alphaform/algebra/visit.hpp>
#include <cctype>

namespace alphaform {
namespace {

struct printed final {
  std::string text;
  level is = level::atom;
};

struct printer final {
  term_view v;  ///< its root is the term that is being printed, so that its own label is opened
  const style& s;
  bool in_rule = false;  ///< symbols stand for any term: brackets and held operands are what the rule is about

  const node& here() const { return v.top(); }

  printed opened(node_index i) const {
    printer inner{v.at(i), s, in_rule};
    return visit<printed>(v[i].term, inner);
  }
  printed term(node_index i) const { return v.labels[i].empty() ? opened(i) : printed{s.symbol(v.labels[i])}; }
  std::string at_least(level wanted, const printed& p) const { return p.is < wanted ? s.bracket(p.text) : p.text; }
  std::string at_least(level wanted, node_index i) const { return at_least(wanted, term(i)); }
  std::string all(node_index i) const { return term(i).text; }

  std::string word(std::string_view name) const { return filled(s.word, std::string(name), ""); }
  printed call(std::string_view name, const std::string& arguments) const {
    return {word(name) + s.bracket(arguments)};
  }
  std::string listed(node_index a, node_index b) const { return all(a) + std::string(s.comma) + all(b); }

  /// A product of the parts; one part stays as it is.
  printed product_of(const std::vector<printed>& parts, std::string_view by) const {
    if (parts.size() == 1) return parts.front();
    std::string text;
    for (const printed& p : parts) text += (text.empty() ? "" : std::string(by)) + at_least(level::power, p);
    return {text, level::product};
  }

  printed of(const factor& f) const {
    if (!f.is_unrolled()) return term(f.term);
    return call("Unrolled", listed(f.decay, f.write) + std::string(s.comma) + all(f.read));
  }
  void append_factors(node_index i, std::vector<printed>& parts) const {
    if (!v.labels[i].empty() && i != v.root) return parts.push_back(term(i));
    if (in_rule && v[i].is<terms::product>()) {
      parts.push_back(nested_in_rule(v[i].a));
      return append_factors(v[i].b, parts);
    }
    append(factors_of(v.at(i)), parts);
  }
  /// Factors one by one, but for two that have names of their own: Mean[C] = Diag(1/C) Contract[C] and Outer[N](a, b) =
  /// Diag(a) Expand[N] Contract[N] Diag(b).
  void append(std::span<const factor> factors, std::vector<printed>& parts) const {
    for (std::size_t k = 0; k < factors.size(); ++k) {
      const auto is = [&]<class Term>(std::size_t at, Term) {
        return at < factors.size() && !factors[at].is_unrolled() && plain(factors[at].term) &&
               v[factors[at].term].is<Term>();
      };
      const auto at = [&](std::size_t place) -> const node& { return v[factors[place].term]; };
      if (is(k, terms::diag{}) && is(k + 1, terms::contract{}) && counts(at(k).a, at(k + 1).from)) {
        parts.push_back(on_axes("Mean", at(k + 1).from));
        k += 1;
      } else if (is(k, terms::diag{}) && is(k + 1, terms::expand{}) && is(k + 2, terms::contract{}) &&
                 is(k + 3, terms::diag{}) && at(k + 1).to == at(k + 2).from) {
        parts.push_back({on_axes("Outer", at(k + 1).to).text + s.bracket(listed(at(k).a, at(k + 3).a))});
        k += 3;
      } else {
        parts.push_back(of(factors[k]));
      }
    }
  }
  bool plain(node_index i) const { return !in_rule && v.labels[i].empty(); }
  /// Is the stream 1 / (entries of these axes)?
  bool counts(node_index i, axes of) const { return plain(i) && v[i].is<terms::inverse_size>() && v[i].from == of; }
  /// I - 1 1' / n along some axes; those, or none.
  axes centred() const {
    const node &left = v[here().a], &right = v[here().b];
    if (!left.is<terms::identity>() || !right.is<terms::product>() || !plain(here().b)) return no_axes;
    const std::vector<factor> f = factors_of(v.at(here().b));
    if (f.size() != 3 || f[0].is_unrolled() || !v[f[0].term].is<terms::diag>()) return no_axes;
    const node& scale = v[v[f[0].term].a];
    const axes along = v[f[1].term].to;
    const bool mean = scale.function == function_code<functions::neg> && counts(scale.a, along);
    return mean && v[f[1].term].is<terms::expand>() && v[f[2].term].is<terms::contract>() ? along : no_axes;
  }

  /// (P Q) R keeps its bracket.
  printed nested_in_rule(node_index i) const {
    const printed p = term(i);
    return v[i].is<terms::product>() || one_of<terms::sum, terms::paths>(v[i].term) ? printed{s.bracket(p.text)} : p;
  }

  /// Of -x or Diag(-1) P what follows the sign; nothing of others.
  printed without_sign(node_index i) const {
    if (!v.labels[i].empty()) return {};
    if (v[i].function == function_code<functions::neg>) return term(v[i].a);
    if (in_rule || !v[i].is<terms::product>()) return {};
    const std::vector<factor> f = factors_of(v.at(i));
    if (f[0].is_unrolled() || !v[f[0].term].is<terms::diag>()) return {};
    const node& sign = v[v[f[0].term].a];
    if (!sign.is<terms::number>() || sign.id != "-1") return {};
    std::vector<printed> parts;
    append(std::span(f).subspan(1), parts);
    return product_of(parts, s.then);
  }
  /// a + b - c
  printed summed() const {
    std::string text;
    if (in_rule && here().a != absent && v[here().a].term == here().term)
      return {s.bracket(all(here().a)) + std::string(s.plus) + at_least(level::product, here().b), level::sum};
    for (const node_index i : summands_of(v)) {
      const printed positive = without_sign(i);
      if (text.empty()) {
        text = all(i);
      } else {
        text += positive.text.empty() ? s.plus : s.minus;
        text += positive.text.empty() ? at_least(level::product, i) : at_least(level::product, positive);
      }
    }
    return {text, level::sum};
  }
  void append_times(node_index i, std::vector<printed>& parts) const {
    if (v[i].is<terms::times>() && (i == v.root || v.labels[i].empty())) {
      append_times(v[i].a, parts);
      append_times(v[i].b, parts);
    } else {
      parts.push_back(term(i));
    }
  }

  std::string letters(axes of, std::string_view between = ",") const {
    std::string all;
    for (const axis_letter& l : axis_letters)
      if (of.contains(l.axis)) all += std::string(all.empty() ? "" : between) + std::string(l.letter);
    return all;
  }
  std::string axis_name(const std::string& text) const { return filled(s.axis, text, ""); }
  /// Along the axes of the node; in a pattern, along those that its symbol stands for.
  printed on_axes(std::string_view name, axes of) const {
    const std::string along = here().id.empty() ? axis_name(letters(of)) : s.symbol(here().id);
    return {filled(s.on_axes, along, word(name))};
  }
  /// Along the axes that `which` says of an operator or stream.
  printed on_axes_of(std::string_view name, const std::string& which) const {
    return {filled(s.on_axes, which, word(name))};
  }
  /// F(s) with respect to v, which is left unsaid if it is the value input.
  printed marker(std::string_view name) const {
    const node& by = v[here().b];
    const std::string head =
        by.is<terms::input>() && by.id == value_input ? word(name) : filled(s.respect, all(here().b), word(name));
    return {head + s.bracket(all(here().a))};
  }
  bool only_repeats(node_index i) const {
    return v.labels[i].empty() &&
           one_of<terms::expand, terms::spread, terms::repeat_made, terms::repeat_consumed>(v[i].term);
  }
  /// The factors of an operator that is applied to a stream, and of those applied before it; outside of rules, the
  /// outermost does not show that it only repeats.
  void collect_applied(node_index i, std::vector<factor>& factors) const {
    while (v[i].is<terms::product>() && v.labels[i].empty() && only_repeats(v[i].a)) i = v[i].b;
    if (only_repeats(i)) return;
    if (!v.labels[i].empty()) return factors.push_back({i});
    for (const factor& f : factors_of(v.at(i))) factors.push_back(f);
  }

  // ---- streams
  printed operator()(terms::input) const { return {s.symbol(here().id)}; }
  printed operator()(terms::parameter) const { return {s.parameter(here().id)}; }
  printed operator()(terms::number) const {
    return {s.number(here().id), here().id.starts_with('-') ? level::sum : level::atom};
  }
  printed operator()(terms::one) const { return {std::string(s.ones)}; }
  printed operator()(terms::nothing) const { return {s.symbol("0")}; }
  printed operator()(terms::inverse_size) const {
    return {filled(s.over_axis, letters(here().from, ""), ""), level::product};
  }
  printed operator()(terms::function) const {
    const layout& l = function_table[here().function].*s.function;
    const printed argument = term(here().a);
    return {filled(l.form, s.group(argument.text), s.group(at_least(l.wants, argument))), l.is};
  }
  printed operator()(terms::times) const {
    std::vector<printed> parts;
    append_times(v.root, parts);
    return product_of(parts, s.times);
  }
  printed operator()(terms::plus) const { return summed(); }
  printed operator()(terms::larger) const { return call("max", listed(here().a, here().b)); }
  printed operator()(terms::applied) const {
    std::vector<printed> parts;
    std::vector<factor> factors;
    node_index i = v.root;
    for (; v[i].is<terms::applied>() && (i == v.root || (v.labels[i].empty() && !in_rule)); i = v[i].b)
      if (in_rule)
        append_factors(v[i].a, parts);
      else
        collect_applied(v[i].a, factors);
    append(factors, parts);
    parts.push_back(term(i));
    if (in_rule && parts.size() > 1 && parts.back().is == level::product) parts.back() = {s.bracket(parts.back().text)};
    return product_of(parts, s.then);
  }
  printed operator()(terms::held) const { return in_rule ? call("held", all(here().a)) : term(here().a); }
  printed operator()(terms::peak) const { return call("peak", listed(here().a, here().b)); }
  printed operator()(terms::prior_peak) const {
    for (node_index i = 0; i < v.nodes.size(); ++i)
      if (v[i].is<terms::peak>() && v[i].a == here().a && v[i].b == here().b) return call("prior", all(i));
    return call("prior", call("peak", listed(here().a, here().b)).text);
  }

  // ---- operators
  printed operator()(terms::identity) const { return {s.symbol("I")}; }
  printed operator()(terms::zero) const { return {s.symbol("0")}; }
  printed operator()(terms::diag) const { return call("Diag", all(here().a)); }
  printed operator()(terms::conv) const { return call("Conv", all(here().a)); }
  printed operator()(terms::lags) const { return on_axes_of("Lags", axis_name("K")); }
  printed operator()(terms::delay) const { return {word("Delay")}; }
  printed operator()(terms::reverse) const { return {word("Reverse")}; }
  printed operator()(terms::permute) const { return call("Permute", all(here().a)); }
  printed operator()(terms::scan) const {
    const node_index step = here().a;
    return call("Scan", all(v[step].is<terms::diag>() && v.labels[step].empty() ? v[step].a : step));
  }
  printed operator()(terms::mix) const {
    if (here().id.empty()) return term(here().a);
    return {filled(s.on_axes, symbol_of_operator(here().id), word("Mix")) + s.bracket(all(here().a))};
  }
  printed operator()(terms::expand) const { return on_axes("Expand", here().to); }
  printed operator()(terms::contract) const { return on_axes("Contract", here().from); }
  printed operator()(terms::every_token) const { return on_axes_of("Expand", axis_name("T")); }
  printed operator()(terms::over_tokens) const { return on_axes_of("Contract", axis_name("T")); }
  printed operator()(terms::embed) const { return {word("Complex")}; }
  printed operator()(terms::real) const { return {word("Re")}; }
  printed operator()(terms::turn) const {
    return here().from == part ? printed{s.symbol("i")} : on_axes("Turn", here().from);
  }
  /// With a window, that of its parameter.
  printed operator()(terms::attend) const {
    if (here().id.empty() || in_rule) return call("Attend", listed(here().a, here().b));
    return {filled(s.on_axes, s.parameter(here().id), word("Attend")) + s.bracket(listed(here().a, here().b))};
  }
  printed operator()(terms::rownorm) const { return call("RowNorm", all(here().a)); }
  printed operator()(terms::bounded_rownorm) const { return call("RowNorm1", all(here().a)); }
  printed operator()(terms::adjoint) const {
    return {filled(s.transposed, "", s.group(at_least(level::atom, here().a))), level::power};
  }
  printed operator()(terms::sum) const {
    const axes along = in_rule ? no_axes : centred();
    return along == no_axes ? summed() : on_axes("Centre", along);
  }
  printed operator()(terms::paths) const { return summed(); }
  printed operator()(terms::product) const {
    std::vector<printed> parts;
    append_factors(v.root, parts);
    return product_of(parts, s.then);
  }

  // ---- markers and patterns
  printed operator()(terms::frozen) const { return marker("F"); }
  printed operator()(terms::derivative) const { return marker("J"); }
  printed operator()(terms::controls) const { return marker("G"); }
  printed operator()(terms::remainder) const { return marker("R"); }
  printed operator()(terms::retimed) const { return call("Retimed", all(here().a)); }
  printed operator()(terms::any_stream) const { return {s.symbol(here().id)}; }
  std::string symbol_of_operator(std::string_view id) const {
    return s.symbol(std::string(1, static_cast<char>(std::toupper(static_cast<unsigned char>(id.front())))));
  }
  printed operator()(terms::any_operator) const { return {symbol_of_operator(here().id)}; }
  printed operator()(terms::ones_for) const { return {std::string(s.ones)}; }
  printed operator()(terms::spread) const {
    return on_axes_of("Expand", all(here().a) + std::string(s.to) + all(here().b));
  }
  /// An operator's result has the axes to(P), its argument the axes from(P).
  printed operator()(terms::repeat_made) const { return on_axes_of("Expand", call("to", all(here().a)).text); }
  printed operator()(terms::repeat_consumed) const { return on_axes_of("Expand", call("from", all(here().a)).text); }
  printed operator()(terms::sum_made) const { return on_axes_of("Contract", call("to", all(here().a)).text); }
  printed operator()(terms::sum_consumed) const { return on_axes_of("Contract", call("from", all(here().a)).text); }
};

}  // namespace

std::string print(const term_view& v, notation n, bool expand_root_label) {
  const style& s = style_of(n);
  const printer p{v, s, occurs(v, is_wildcard)};
  return s.group((expand_root_label ? p.opened(v.root) : p.term(v.root)).text);
}

std::string print(const term_view& v, const factor& f, notation n) {
  const style& s = style_of(n);
  return s.group(printer{v, s, false}.of(f).text);
}

}  // namespace alphaform

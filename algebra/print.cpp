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

  const node& here() const { return v.top(); }

  printed opened(node_index i) const {
    printer inner{v.at(i), s};
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
    for (const factor& f : factors_of(v.at(i))) parts.push_back(of(f));
  }

  /// a + b - c
  printed summed() const {
    std::string text;
    for (const node_index i : summands_of(v)) {
      const bool negative = v.labels[i].empty() && v[i].function == function_code<functions::neg>;
      if (text.empty()) {
        text = all(i);
      } else {
        text += negative ? s.minus : s.plus;
        text += at_least(level::product, negative ? v[i].a : i);
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

  std::string letters(axes of) const {
    std::string all;
    for (const axis_letter& l : axis_letters)
      if (of.contains(l.axis)) all += (all.empty() ? "" : ",") + std::string(l.letter);
    return all;
  }
  printed on_axes(std::string_view name, axes of) const { return {filled(s.on_axes, letters(of), word(name))}; }

  // ---- streams
  printed operator()(terms::input) const { return {s.symbol(here().id)}; }
  printed operator()(terms::parameter) const { return {s.parameter(here().id)}; }
  printed operator()(terms::one) const { return {std::string(s.ones)}; }
  printed operator()(terms::nothing) const { return {s.symbol("0")}; }
  printed operator()(terms::inverse_size) const {
    return {filled(s.over_axis, letters(here().from), ""), level::product};
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
    node_index i = v.root;
    for (; v[i].is<terms::applied>() && (i == v.root || v.labels[i].empty()); i = v[i].b)
      if (!v[v[i].a].is<terms::expand>()) append_factors(v[i].a, parts);
    parts.push_back(term(i));
    return product_of(parts, s.then);
  }
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
  printed operator()(terms::delay) const { return {word("Delay")}; }
  printed operator()(terms::scan) const {
    const node_index step = here().a;
    return call("Scan", all(v[step].is<terms::diag>() && v.labels[step].empty() ? v[step].a : step));
  }
  printed operator()(terms::mix) const { return term(here().a); }
  printed operator()(terms::expand) const { return on_axes("Expand", here().to); }
  printed operator()(terms::contract) const { return on_axes("Contract", here().from); }
  printed operator()(terms::rownorm) const { return call("RowNorm", all(here().a)); }
  printed operator()(terms::sum) const { return summed(); }
  printed operator()(terms::product) const {
    std::vector<printed> parts;
    append_factors(v.root, parts);
    return product_of(parts, s.then);
  }

  // ---- markers and patterns
  printed operator()(terms::frozen) const { return call("F", all(here().a)); }
  printed operator()(terms::remainder) const { return call("R", all(here().a)); }
  printed operator()(terms::any_stream) const { return {s.symbol(here().id)}; }
  printed operator()(terms::any_operator) const {
    const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(here().id.front())));
    return {s.symbol(std::string(1, letter))};
  }
  printed operator()(terms::ones_for) const { return {std::string(s.ones)}; }
};

}  // namespace

std::string print(const term_view& v, notation n, bool expand_root_label) {
  const style& s = style_of(n);
  const printer p{v, s};
  return s.group((expand_root_label ? p.opened(v.root) : p.term(v.root)).text);
}

std::string print(const term_view& v, const factor& f, notation n) {
  const style& s = style_of(n);
  return s.group(printer{v, s}.of(f).text);
}

}  // namespace alphaform

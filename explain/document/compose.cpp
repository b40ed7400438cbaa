#include <fmt/core.h>

#include <algorithm>
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/naming.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <alphaform/explain/document/blocks.hpp>
#include <cmath>
#include <utility>

namespace alphaform::documents {
namespace {

class composer final {
 public:
  composer(const subject& s, notation n)
      : a_(s.a), d_(s.derived), s_(s), e_(s.evidence), n_(n), y_(s.a.attention), named_(with_named_controls(told())) {}

  std::vector<block> all() {
    opening();
    symbols();
    surroundings();
    steps();
    if (d_.refused == absent) properties();
    scan_laws();
    if (!s_.jacobians.empty()) jacobians();
    if (d_.refused == absent) evaluating();
    printed_equation(s_.measured.printed);
    return std::move(blocks_);
  }

 private:
  const architecture& a_;
  const derivation& d_;
  const subject& s_;
  const derivation_evidence& e_;
  notation n_;
  term_view y_;
  axes value_ = value_axes(y_);
  named_terms named_;  ///< names for the long and the repeated of y, used on the whole page
  std::vector<block> blocks_;

  /// The declaration, and what it becomes.
  std::vector<term_view> told() const {
    std::vector<term_view> terms{y_};
    if (d_.refused == absent) terms.insert(terms.end(), {derived(d_.formula), derived(d_.remainder)});
    return terms;
  }
  /// With the names of the page.
  span formula(const term_view& v, bool expand_root_label = true) {
    return {print(named_.of(v), n_, expand_root_label), true};
  }
  /// As it stands.
  span bare(const term_view& v, bool expand_root_label = true) const { return {print(v, n_, expand_root_label), true}; }
  span symbol_span(std::string_view name) const { return {symbol_text(name, n_), true}; }
  term_view derived(node_index i) const { return {d_, i}; }

  void heading(const std::string& text) { blocks_.push_back({block_kind::heading, {{text}}}); }
  void say(line text) { blocks_.push_back({block_kind::paragraph, std::move(text)}); }
  void equations(std::vector<std::vector<line>> rows) {
    blocks_.push_back({block_kind::equations, {}, std::move(rows)});
  }
  void table(std::vector<std::vector<line>> rows) { blocks_.push_back({block_kind::table, {}, std::move(rows)}); }

  /// A sentence with its terms printed in place of each @.
  line filled_in(const phrase& p, const term_view& v) {
    line out;
    std::string words;
    std::size_t k = 0;
    for (const char c : p.text) {
      if (c != '@') {
        words += c;
        continue;
      }
      out.push_back({std::exchange(words, "")});
      out.push_back(formula(v.at(p.terms[k++]), false));
    }
    out.push_back({words});
    return out;
  }

  void opening() {
    blocks_.push_back({block_kind::title, {{fmt::format("{}: the implicit attention", a_.title)}}});
    say({{fmt::format("{} Source: {}.", a_.summary, a_.source)}});
    say({{"Declared:"}});
    equations({{{symbol_span("y")}, {formula(y_)}}});
    if (d_.refused != absent) {
      say({{"Refused: this declaration has no implicit attention y = H x + r, because the value path meets "},
           formula(derived(d_.refused)),
           {", which is neither linear in it nor a known activation. What could be derived is below."}});
      if (d_.refusing != absent) {
        const rule& u = rules[d_.refusing];
        say({{fmt::format("The step that would be needed, \"{}\", is unsound: ", u.name)},
             bare(u.pattern),
             {" is not "},
             bare(u.result),
             {fmt::format(" ({}). {}", u.source, u.reason)}});
      }
      return;
    }
    const bool remains = !derived(d_.remainder).top().is<terms::nothing>();
    say({{remains ? "Derived, exactly: y = H x + r with" : "Derived, exactly: y = H x, without a remainder, with"}});
    std::vector<std::vector<line>> result{{{symbol_span("H")}, {formula(derived(d_.formula))}}};
    if (remains) result.push_back({{symbol_span("r")}, {formula(derived(d_.remainder))}});
    equations(std::move(result));
    if (!s_.measured.picture.empty())
      blocks_.push_back(
          {block_kind::picture,
           {{"|H| of the golden model on its recorded text: a row of maps for each layer, a map for each of "
             "four channels. Row t is what token t receives; each map from its least to its greatest entry, "
             "colours by the square root."},
            {s_.measured.picture}},
           {}});
  }

  void symbols() {
    heading("Symbols");
    std::vector<std::vector<line>> rows{{{{"Symbol"}}, {{"Definition"}}, {{"Shape"}}, {{"Controlled by"}}}};
    const term_view y{named_.g, named_.terms.front()};
    std::vector<std::string_view> told;
    const auto tell = [&](const term_view& v, const symbol& s) {
      const bool is_label = s.kind == symbol_kind::label;
      const line definition = is_label ? line{bare(v.at(s.definition))} : line{};
      const line name = is_label ? line{symbol_span(s.name)} : line{bare(v.at(s.definition), false)};
      rows.push_back({name, definition, {{s.shape}}, {{controlled_by(s)}}});
      told.push_back(s.name);
    };
    for (const symbol& s : symbols_of(y)) tell(y, s);
    table(std::move(rows));
    say({{legend()}});
  }
  /// The axes and terms that occur, in words.
  std::string legend() {
    axes named{};
    for (const node_index i : parts_of(y_)) named = named | y_[i].from | y_[i].to;
    std::string text = "T tokens";
    const auto name = [&](axes axis, std::string_view meaning) {
      if (named.contains(axis)) text += fmt::format(", {}", meaning);
    };
    name(group, "G groups of heads");
    name(head, "H heads");
    name(chan, "C channels");
    name(state, "N state entries");
    name(rank, "R ranks");
    name(tap, "K filter taps");
    name(part, "Z parts of a complex number");
    text += ". Diag(s) multiplies by s.";
    const auto uses = [this]<class... Term>(Term...) {
      return occurs(y_, [](const node& n) { return one_of<Term...>(n.term); });
    };
    if (uses(terms::conv{})) text += " Conv(w) filters with the taps w.";
    if (uses(terms::mix{})) text += " W s is a matrix times a stream.";
    const std::string y = print(named_.of(y_), notation::text) + text_of_names();
    const auto shows = [&y](std::string_view word) { return y.find(word) != y.npos; };
    if (shows("Unrolled("))
      text += " Unrolled(a, b, c) is h[t] = a[t] h[t-1] + b[t] x[t], read as the sum over the state of c[t] h[t].";
    if (shows("Scan(")) text += " Scan(P) is h[t] = P[t] h[t-1] + x[t]; Scan(a) is Scan(Diag(a)).";
    if (shows("Expand[") || shows("Contract[")) text += " Expand repeats along an axis, Contract sums over one.";
    if (shows("Mean[")) text += " Mean is Contract divided by the number of its summands.";
    if (shows("Centre[")) text += " Centre subtracts the mean along an axis.";
    if (shows("Outer[")) text += " Outer(a, b) is a b' along an axis: Diag(a) Expand Contract Diag(b).";
    if (shows("Turn[")) text += " Turn makes (-q, p) of the two halves (p, q) of an axis.";
    if (shows("Lags[")) text += " Lags lays the last K tokens side by side, along a new axis.";
    if (uses(terms::delay{})) text += " Delay gives x[t-1].";
    if (uses(terms::reverse{})) text += " Reverse gives the tokens from last to first.";
    if (named.contains(part)) text += " Complex(x) is x + 0i, Re the real part, i multiplication by i.";
    if (uses(terms::attend{})) {
      text += " Attend(q, k) has the entries exp(q[t] k[s]) for tokens s up to t";
      text += shows("Attend[") ? ", in a window only for that many tokens back." : ".";
    }
    if (uses(terms::rownorm{})) text += " RowNorm divides each row by its sum; 1 is the stream of ones.";
    if (uses(terms::bounded_rownorm{}))
      text += " RowNorm1 divides each row by the larger of 1 and the size of its sum.";
    if (uses(terms::larger{})) text += " max is taken pointwise.";
    if (shows("peak(")) text += " peak(a, b)[t] = max(peak[t-1] + a[t], b[t]).";
    return text;
  }
  /// What the names of the page stand for, to look for words in.
  std::string text_of_names() const {
    std::string text;
    const term_view y{named_.g, named_.terms.front()};
    for (const symbol& s : symbols_of(y))
      if (s.kind == symbol_kind::label) text += " " + print(y.at(s.definition), notation::text);
    return text;
  }

  void surroundings() {
    heading("In the layer");
    std::vector<std::vector<line>> rows;
    for (const projection& p : a_.inputs) rows.push_back({{symbol_span(p.input)}, {bare(p.of_u)}});
    rows.push_back({{{"output"}}, {bare(a_.output)}});
    say({{"The layer's own input u [T, D] becomes the inputs of the attention, and y the layer's output, by"}});
    equations(std::move(rows));
  }

  void steps() {
    heading("Derivation");
    say(
        {{"F(s) is the derivative of s along the value path, from x, with every control frozen: H = F(y). Rules are "
          "written for any v in place of x. The residual of a step is the largest entry of before - after over the "
          "largest entry of before, as dense matrices in double for two draws of random parameters. A line that begins "
          "with = goes on from the step before."}});
    for (std::size_t k = 0; k < s_.steps.steps.size(); ++k) tell(s_.steps.steps[k], k);
    if (e_.whole) say({{fmt::format("Together, H x + r misses y by {} of its largest entry.", miss_text(*e_.whole))}});
  }
  void tell(const visible_step& s, std::size_t k) {
    const rule& u = rules[s.rule];
    const term_view before(s_.steps.g, s.before), after(s_.steps.g, s.after);
    line said{{fmt::format("{}. {} ({} rule{}; {}): ", k + 1, u.name, text_of(u.is),
                           s.times > 1 ? fmt::format(", applied {} times", s.times) : "", u.source)},
              bare(u.pattern),
              {" = "},
              bare(u.result)};
    if (!u.when.text.empty()) {
      said.push_back({", where " + condition_text(u)});
      for (const auto& [symbol, term] : s.where)
        if (symbol != "v") {
          said.push_back({"; here "});
          said.push_back(symbol_span(symbol));
          said.push_back({" is "});
          said.push_back(formula(before.at(term), false));
        }
    }
    said.push_back({fmt::format(". {}{}Residual {}.{}", u.reason, u.reason.empty() ? "" : " ", miss_text(e_.steps[k]),
                                cost_change(before, after))});
    say(std::move(said));
    const bool continues = k > 0 && s_.steps.steps[k - 1].after == s.before;
    if (continues)
      equations({{{{"", true}}, {formula(after)}}});
    else
      equations({{{formula(before)}, {formula(after)}}});
  }
  std::string cost_change(const term_view& before, const term_view& after) const {
    const auto cost_before = operations_of(before, value_), cost_after = operations_of(after, value_);
    if (!cost_before || !cost_after) return "";
    if (*cost_before == *cost_after) return fmt::format(" Cost {} before and after.", *cost_before);
    return fmt::format(" Cost {} before, {} after.", *cost_before, *cost_after);
  }

  void properties() {
    const term_view H = derived(d_.formula);
    const attention_properties p = classify(H, value_);
    heading("Properties");
    say(
        {{fmt::format("An {} attention: {}. It is {} and {}. Independent T x T matrices: {}. With its controls given, "
                      "H x takes {} multiplications and additions.",
                      text_of(p.is), meaning(p.is),
                      p.data_controlled ? "controlled by the data" : "time-invariant, the same for every text",
                      p.direction, p.matrices, p.operations)}});
    const term_view own = p.H;
    const auto factor_span = [&](const factor_properties& f) { return formula(own.at(f.what), false); };
    std::vector<std::vector<line>> rows{{{{"Factor"}}, {{"Role"}}, {{"Reads"}}, {{"Bandwidth"}}}};
    for (const factor_properties& f : p.factors)
      rows.push_back({{factor_span(f)}, {{std::string(text_of(f.is))}}, {{f.reads}}, {{f.bandwidth}}});
    table(std::move(rows));
    rows = {{{{"Factor"}}, {{"What it does, and the bias it brings"}}}};
    for (const factor_properties& f : p.factors) {
      line said = filled_in(f.does, own);
      said.push_back({" " + std::string(f.bias)});
      rows.push_back({{factor_span(f)}, std::move(said)});
    }
    table(std::move(rows));
    rows = {{{{"Asked for"}}, {{"Operations"}}, {{"Memory beside the result"}}, {{"How"}}}};
    for (const query_cost& c : p.costs) rows.push_back({{{c.query}}, {{c.operations}}, {{c.memory}}, {{c.how}}});
    table(std::move(rows));
  }
  static std::string_view meaning(attention_class c) {
    constexpr std::array meanings{"its entries are given directly",
                                  "recurrences and filters that each channel applies on its own",
                                  "an operator of H mixes channels, so that H is no matrix over tokens alone"};
    return meanings[static_cast<std::size_t>(c)];
  }

  void jacobians() {
    heading("Jacobian");
    say(
        {{"J is the true derivative of y, controls included. It is the value path, H, and one path for every stream "
          "that controls an operator on the value path: J(c) is the derivative of such a control c. Streams s1, s2 "
          "..., "
          "states h1, h2 ... and operators M1, M2 ... are written out once, where they are first needed. Both sums are "
          "compared with derivatives by dual numbers."}});
    std::vector<term_view> all;
    for (const measured_jacobian& m : s_.jacobians)
      for (const term_view& v : terms_of(m.terms)) all.push_back(v);
    const named_terms named = with_names(all, &named_);
    std::size_t first = 0;
    for (const measured_jacobian& m : s_.jacobians) {
      tell(m, named, first);
      first += terms_of(m.terms).size();
    }
    if (const auto& share = s_.measured.share)
      say({{fmt::format(
          "Of the whole layer's true derivative by its input u, the implicit attention (output H x, controls and other "
          "inputs held) carries {:.2f}: the sum of <H v, J v> over that of <J v, J v> for random directions v; their "
          "cosine is {:.2f}. Measured on {}, mean over the layers.",
          share->carried, share->cosine, share->where)}});
  }
  /// What is printed of a derivative, in this order.
  static std::vector<term_view> terms_of(const jacobian_terms& j) {
    if (j.refused != absent) return {};
    std::vector<term_view> all{{j, j.implicit == absent ? j.full : j.implicit}};
    for (std::size_t k = 0; k < j.count && j.implicit != absent; ++k) {
      all.emplace_back(j, j.paths[k].before);
      all.emplace_back(j, j.paths[k].operation);
      if (j.paths[k].control != absent) all.emplace_back(j, j.paths[k].control);
    }
    return all;
  }
  /// @param first  the place of its terms among those of all derivatives
  void tell(const measured_jacobian& m, const named_terms& named, std::size_t first) {
    const jacobian_terms& j = m.terms;
    if (j.refused != absent)
      return say(
          {{fmt::format("With respect to {}: no derivative, because of ", m.input)}, bare({j, j.refused}), {"."}});
    const std::size_t last = first + terms_of(j).size();
    const auto term = [&](std::size_t k, bool open = true) { return bare({named.g, named.terms[first + k]}, open); };
    const span J{print_marker(m.input), true};
    say({{"With respect to "}, symbol_span(m.input), {":"}});
    if (j.implicit == absent) {
      say({{fmt::format("With everything else held, y is not linear in {}: there is no value path to split off.",
                        m.input)}});
      equations({{{J}, {term(0)}}});
    } else {
      const bool has_value_path = !j.term(j.implicit).top().is<terms::zero>();
      std::string sum = has_value_path ? symbol_text("H", n_) : "";
      for (std::size_t k = 0; k < j.count; ++k)
        sum += (sum.empty() ? "" : plus(n_)) + symbol_text(fmt::format("P{}", k + 1), n_);
      equations({{{J}, {{sum.empty() ? symbol_text("0", n_) : sum, true}}}});
      for (std::size_t k = 0, at = 1; k < j.count; ++k) {
        const bool has_control = j.paths[k].control != absent;
        if (has_control) say({{fmt::format("Path {}, through ", k + 1)}, term(at + 2, false), {":"}});
        equations({{{symbol_span(fmt::format("P{}", k + 1))}, {term(at)}}, {{{"", true}}, {term(at + 1)}}});
        at += has_control ? 3 : 2;
      }
    }
    std::vector<std::vector<line>> rows;
    for (std::size_t k = 0; k < named.defined.size(); ++k)
      if (named.first_used[k] >= first && named.first_used[k] < last)
        rows.push_back({{symbol_span(named.g.labels[named.defined[k]])}, {bare({named.g, named.defined[k]})}});
    if (!rows.empty()) {
      say({{"Here"}});
      equations(std::move(rows));
    }
    const std::string split = m.split ? fmt::format(", H and the paths together by {}", miss_text(*m.split)) : "";
    say({{fmt::format("J taken as a whole misses the derivative by {}{}.", miss_text(*m.whole), split)}});
  }
  std::string print_marker(std::string_view input) const {
    large_expr marker;
    const node_index y = marker.g.put({.term = term_code<terms::input>, .to = value_, .id = "y"}),
                     v = marker.g.put({.term = term_code<terms::input>, .to = value_, .id = input});
    marker.root = marked<terms::derivative>(marker.g, y, v);
    return print(marker, n_);
  }
  static std::string plus(notation n) { return n == notation::mathml ? "<mo>+</mo>" : " + "; }

  /// Is the operator a part of H, not of a stream that controls H?
  bool is_in_H(node_index part, node_index i) const {
    const node& n = d_.g[i];
    if (part == i) return true;
    return is_composite(n) && (is_in_H(part, n.a) || (n.b != absent && is_in_H(part, n.b)));
  }

  void scan_laws() {
    const bool any = std::any_of(e_.scans.begin(), e_.scans.end(),
                                 [this](const scan_and_law& s) { return is_in_H(s.scan, d_.formula); });
    if (!any) return;
    heading("Scan law");
    const composition_law law = compose_steps();
    line said{
        {"A step h -> P h + u of a recurrence is a pair (P, u). One step after another, (Q, y) after (P, x), is the "
         "pair of "}};
    said.insert(said.end(), {bare(law.transition), {" and "}, bare(law.input)});
    said.push_back({": the derivative of the composed step, and its value at 0."});
    say(std::move(said));
    for (const scan_and_law& s : e_.scans) {
      if (!is_in_H(s.scan, d_.formula)) continue;
      const scan_law& l = s.law;
      line of{formula(derived(s.scan))};
      of.push_back({fmt::format(
          ": on samples, associative up to {}, neutral element (I, 0) up to {}, commutator {:.2g}: {}. A tree of pairs "
          "misses the recurrence by {}. {}",
          miss_text(l.associative), miss_text(l.neutral), l.commutator,
          l.commutator > 1e-9 ? "the order of steps matters" : "the order of steps does not matter",
          miss_text(l.sequential),
          l.parallel() ? "It may be scanned in parallel." : "No parallel scan: " + l.refusal() + ".")});
      say(std::move(of));
    }
  }

  void evaluating() {
    if (!e_.stabilised) return;
    heading("Evaluating");
    const expr stable = named_stabilised(a_);
    std::vector<std::vector<line>> rows{{{symbol_span("y")}, {formula(stable)}}};
    for (const std::string_view name : {"p", "m"})
      for (const symbol& s : symbols_of(stable))
        if (s.name == name) rows.push_back({{symbol_span(name)}, {bare(term_view(stable).at(s.definition))}});
    for (const rule& u : rules)
      if (u.is == rule_class::stabilising)
        say({{fmt::format(
            "The same stream from factors that cannot overflow, by the rule \"{}\" ({}). {} It misses the "
            "declared form by {}.",
            u.name, u.source, u.reason, miss_text(*e_.stabilised))}});
    equations(std::move(rows));
    say({{"Here peak(a, b)[t] = max(peak[t-1] + a[t], b[t]), and prior(p)[t] = p[t-1]."}});
  }

  void printed_equation(const std::optional<measured_miss>& on_golden) {
    if (a_.printed.equation.empty()) {
      heading("The paper's printed equation");
      say({{"The paper prints no operator for this architecture."}});
      return;
    }
    heading(fmt::format("Where the paper's printed equation differs ({})", a_.printed.equation));
    say({{std::string(a_.printed.difference)}});
    if (a_.printed.H.root != absent) {
      say({{"Printed:"}});
      equations({{{symbol_span("H")}, {formula(a_.printed.H)}}});
      say({{fmt::format("As printed, H x misses y by {:.2g} of its largest entry on random parameters.",
                        *e_.printed)}});
    }
    if (on_golden)
      say({{fmt::format("On {}, the equation as printed misses y by {:.2g} of its largest entry.", on_golden->where,
                        on_golden->miss)}});
  }
};

}  // namespace

std::vector<block> compose(const subject& s, notation n) { return composer(s, n).all(); }

std::string condition_text(const rule& u) {
  const std::string_view text = u.when.text, symbol = u.when.symbols.substr(0, 1);
  const bool has_subject = text.find(' ') == 1;  // "x is ...", "P works ..."
  return (has_subject ? "" : std::string(symbol) + " ") + std::string(text);
}

expr named_stabilised(const architecture& a) {
  expr stable = stabilised(a.attention);
  for (node_index i = 0; i < stable.g.size; ++i) {
    if (stable.g[i].is<terms::peak>()) stable.g.labels[i] = "p";
    if (stable.g[i].is<terms::larger>()) stable.g.labels[i] = "m";
  }
  return stable;
}

std::string miss_text(double miss) {
  return std::isnan(miss) ? "not measured" : miss == 0 ? "0" : fmt::format("{:.1e}", miss);
}

}  // namespace alphaform::documents

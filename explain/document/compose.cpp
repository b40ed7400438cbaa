#include <fmt/core.h>

#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/explain/document/blocks.hpp>
#include <utility>

namespace alphaform::documents {
namespace {

class composer final {
 public:
  composer(const architecture& a, const derivation& d, const derivation_evidence& e, notation n)
      : a_(a), d_(d), e_(e), n_(n), y_(a.attention) {}

  std::vector<block> all(const std::optional<measured_miss>& printed_on_golden) {
    opening();
    symbols();
    surroundings();
    steps();
    if (d_.refused == absent) {
      properties();
      evaluating();
    }
    printed_equation(printed_on_golden);
    return std::move(blocks_);
  }

 private:
  const architecture& a_;
  const derivation& d_;
  const derivation_evidence& e_;
  notation n_;
  term_view y_;
  std::vector<block> blocks_;

  span formula(const term_view& v, bool expand_root_label = true) const {
    return {print(v, n_, expand_root_label), true};
  }
  span symbol_span(std::string_view name) const { return {symbol_text(name, n_), true}; }
  term_view derived(node_index i) const { return {d_, i}; }

  void heading(const std::string& text) { blocks_.push_back({block_kind::heading, {{text}}}); }
  void say(line text) { blocks_.push_back({block_kind::paragraph, std::move(text)}); }
  void equations(std::vector<std::vector<line>> rows) {
    blocks_.push_back({block_kind::equations, {}, std::move(rows)});
  }
  void table(std::vector<std::vector<line>> rows) { blocks_.push_back({block_kind::table, {}, std::move(rows)}); }

  /// A sentence with its terms printed in place of each @.
  line filled_in(const phrase& p, const term_view& v) const {
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
      return;
    }
    const bool remains = !derived(d_.remainder).top().is<terms::nothing>();
    say({{remains ? "Derived, exactly: y = H x + r with" : "Derived, exactly: y = H x, without a remainder, with"}});
    std::vector<std::vector<line>> result{{{symbol_span("H")}, {formula(derived(d_.formula))}}};
    if (remains) result.push_back({{symbol_span("r")}, {formula(derived(d_.remainder))}});
    equations(std::move(result));
  }

  void symbols() {
    heading("Symbols");
    std::vector<std::vector<line>> rows{{{{"Symbol"}}, {{"Definition"}}, {{"Shape"}}, {{"Controlled by"}}}};
    for (const symbol& s : symbols_of(y_)) {
      const bool is_label = s.kind == symbol_kind::label;
      const line definition = is_label ? line{formula(y_.at(s.definition))} : line{};
      const line name = is_label ? line{symbol_span(s.name)} : line{formula(y_.at(s.definition), false)};
      rows.push_back({name, definition, {{s.shape}}, {{controlled_by(s)}}});
    }
    table(std::move(rows));
    say({{legend()}});
  }
  /// The terms that occur, in words.
  std::string legend() const {
    std::string text = "T tokens, C channels, N state entries, R ranks, K filter taps. Diag(s) multiplies by s.";
    const auto uses = [this]<class Term>(Term) { return occurs(y_, [](const node& n) { return n.is<Term>(); }); };
    if (uses(terms::contract{}) && uses(terms::scan{}))
      text += " Unrolled(a, b, c) is h[t] = a[t] h[t-1] + b[t] x[t], read as the sum over the state of c[t] h[t].";
    else if (uses(terms::scan{}))
      text += " Scan(a) is h[t] = a[t] h[t-1] + x[t].";
    if (uses(terms::delay{})) text += " Delay gives x[t-1].";
    if (uses(terms::rownorm{})) text += " RowNorm divides each row by its sum; 1 is the stream of ones.";
    return text;
  }

  void surroundings() {
    heading("In the layer");
    std::vector<std::vector<line>> rows;
    for (const projection& p : a_.inputs) rows.push_back({{symbol_span(p.input)}, {formula(p.of_u)}});
    rows.push_back({{{"output"}}, {formula(a_.output)}});
    say({{"The layer's own input u [T, D] becomes the inputs of the attention, and y the layer's output, by"}});
    equations(std::move(rows));
  }

  void steps() {
    heading("Derivation");
    say(
        {{"F(s) is the derivative of s along the value path, from x, with every control frozen: H = F(y). The residual "
          "of a step is the largest entry of before - after over the largest entry of before, as dense matrices in "
          "double for two draws of random parameters."}});
    for (std::size_t k = 0; k < d_.steps; ++k) {
      const step& s = d_.log[k];
      const rule& u = rules[s.rule];
      line said{{fmt::format("{}. {} ({} rule{}; {}): ", k + 1, u.name, text_of(u.is),
                             s.times > 1 ? fmt::format(", applied {} times", s.times) : "", u.source)},
                formula(u.pattern),
                {" = "},
                formula(u.result)};
      if (!u.when.text.empty())
        said.insert(said.end(), {{", where "}, symbol_span(u.when.symbol), {fmt::format(" {}", u.when.text)}});
      said.push_back({fmt::format(". {} Residual {}.{}", u.reason, miss_text(e_.steps[k]), cost_change(s))});
      say(std::move(said));
      equations({{{{"before"}}, {formula(derived(s.before))}}, {{{"after"}}, {formula(derived(s.after))}}});
    }
    if (e_.whole) say({{fmt::format("Together, H x + r misses y by {} of its largest entry.", miss_text(*e_.whole))}});
  }
  std::string cost_change(const step& s) const {
    const auto before = operations_of(derived(s.before)), after = operations_of(derived(s.after));
    if (!before || !after || *before == *after) return "";
    return fmt::format(" Cost {} before, {} after.", *before, *after);
  }

  void properties() {
    const term_view H = derived(d_.formula);
    const attention_properties p = classify(H);
    heading("Properties");
    say(
        {{fmt::format("An {} attention: {}. It is {} and {}. Independent T x T matrices: {}. With its controls given, "
                      "H x takes {} multiplications and additions.",
                      text_of(p.is), meaning(p.is),
                      p.data_controlled ? "controlled by the data" : "time-invariant, the same for every text",
                      p.causal ? "causal" : "not causal", p.matrices, p.operations)}});
    std::vector<std::vector<line>> rows{{{{"Factor"}}, {{"What it does"}}}};
    for (const factor_role& f : p.factors) rows.push_back({{span{print(H, f.what, n_), true}}, filled_in(f.does, H)});
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

  void evaluating() {
    if (!e_.stabilised) return;
    heading("Evaluating");
    const expr stable = named_stabilised(a_);
    std::vector<std::vector<line>> rows{{{symbol_span("y")}, {formula(stable)}}};
    for (const std::string_view name : {"p", "m"})
      for (const symbol& s : symbols_of(stable))
        if (s.name == name) rows.push_back({{symbol_span(name)}, {formula(term_view(stable).at(s.definition))}});
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

std::vector<block> compose(const architecture& a, const derivation& d, const derivation_evidence& e,
                           const std::optional<measured_miss>& printed_on_golden, notation n) {
  return composer(a, d, e, n).all(printed_on_golden);
}

expr named_stabilised(const architecture& a) {
  expr stable = stabilised(a.attention);
  for (node_index i = 0; i < stable.g.size; ++i) {
    if (stable.g[i].is<terms::peak>()) stable.g.labels[i] = "p";
    if (stable.g[i].is<terms::larger>()) stable.g.labels[i] = "m";
  }
  return stable;
}

std::string miss_text(double miss) { return miss == 0 ? "0" : fmt::format("{:.1e}", miss); }

}  // namespace alphaform::documents

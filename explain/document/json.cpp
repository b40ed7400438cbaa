// The document as JSON: every formula as text, LaTeX and MathML, every number as a number.
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/explain/document/blocks.hpp>
#include <alphaform/explain/output/json.hpp>
#include <nlohmann/json.hpp>

namespace alphaform::documents {
namespace {

using nlohmann::json;

json formula(const term_view& v, bool expand_root_label = true) {
  return {{"text", print(v, notation::text, expand_root_label)},
          {"latex", print(v, notation::latex, expand_root_label)},
          {"mathml", print(v, notation::mathml, expand_root_label)}};
}
json or_null(const std::optional<double>& number) { return number ? json(*number) : json(); }
json or_null(const std::optional<std::string>& text) { return text ? json(*text) : json(); }

json symbols(const term_view& y) {
  constexpr std::array kinds{"input", "label", "parameter"};
  json list = json::array();
  for (const symbol& s : symbols_of(y))
    list.push_back({{"name", s.name},
                    {"kind", kinds[static_cast<std::size_t>(s.kind)]},
                    {"definition", formula(y.at(s.definition))},
                    {"shape", s.shape},
                    {"inputs", s.inputs},
                    {"controlled_by", controlled_by(s)}});
  return list;
}

json steps(const derivation& d, const derivation_evidence& e) {
  json list = json::array();
  for (std::size_t k = 0; k < d.steps; ++k) {
    const step& s = d.log[k];
    const rule& u = rules[s.rule];
    const term_view before(d, s.before), after(d, s.after);
    list.push_back({{"rule", u.name},
                    {"class", text_of(u.is)},
                    {"pattern", formula(u.pattern)},
                    {"result", formula(u.result)},
                    {"condition", u.when.text},
                    {"reason", u.reason},
                    {"source", u.source},
                    {"times", s.times},
                    {"before", formula(before)},
                    {"after", formula(after)},
                    {"miss", e.steps[k]},
                    {"operations_before", or_null(operations_of(before))},
                    {"operations_after", or_null(operations_of(after))}});
  }
  return list;
}

/// A sentence with its terms as text.
std::string sentence(const phrase& p, const term_view& v) {
  std::string out;
  std::size_t k = 0;
  for (const char c : p.text) out += c == '@' ? print(v.at(p.terms[k++]), notation::text, false) : std::string(1, c);
  return out;
}

json properties(const term_view& H) {
  const attention_properties p = classify(H);
  json factors = json::array(), costs = json::array();
  for (const factor_role& f : p.factors)
    factors.push_back({{"factor", print(H, f.what, notation::text)}, {"does", sentence(f.does, H)}});
  for (const query_cost& c : p.costs)
    costs.push_back({{"query", c.query}, {"operations", c.operations}, {"memory", c.memory}, {"how", c.how}});
  return {{"class", text_of(p.is)},   {"data_controlled", p.data_controlled}, {"causal", p.causal},
          {"matrices", p.matrices},   {"operations", p.operations},           {"factors", std::move(factors)},
          {"costs", std::move(costs)}};
}

}  // namespace

std::string write_json(const architecture& a, const derivation& d, const derivation_evidence& e,
                       const std::optional<measured_miss>& printed_on_golden) {
  json inputs = json::array();
  for (const projection& p : a.inputs) inputs.push_back({{"input", p.input}, {"of_u", formula(p.of_u)}});
  json doc{{"name", a.name},
           {"title", a.title},
           {"summary", a.summary},
           {"source", a.source},
           {"y", formula(a.attention)},
           {"inputs", std::move(inputs)},
           {"output", formula(a.output)},
           {"symbols", symbols(a.attention)},
           {"steps", steps(d, e)},
           {"refused", d.refused == absent ? json() : formula({d, d.refused}, false)},
           {"miss", or_null(e.whole)},
           {"printed",
            {{"equation", a.printed.equation}, {"difference", a.printed.difference}, {"miss", or_null(e.printed)}}}};
  if (d.refused == absent) {
    doc["H"] = formula({d, d.formula});
    doc["r"] = formula({d, d.remainder});
    doc["properties"] = properties({d, d.formula});
  }
  if (a.printed.H.root != absent) doc["printed"]["H"] = formula(a.printed.H);
  if (printed_on_golden)
    doc["printed"]["measured"] = {{"where", printed_on_golden->where}, {"miss", printed_on_golden->miss}};
  if (e.stabilised) doc["stabilised"] = {{"y", formula(named_stabilised(a))}, {"miss", *e.stabilised}};
  return json_text(doc);
}

}  // namespace alphaform::documents

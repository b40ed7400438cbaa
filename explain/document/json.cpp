// The document as JSON: every formula as text, LaTeX and MathML, every number as a number.
#include <alphaform/algebra/classify.hpp>
#include <alphaform/algebra/naming.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/reference/witness.hpp>
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

json steps(const subject& s) {
  const axes value = value_axes(s.a.attention);
  json list = json::array();
  for (std::size_t k = 0; k < s.steps.steps.size(); ++k) {
    const visible_step& one = s.steps.steps[k];
    const rule& u = rules[one.rule];
    const term_view before(s.steps.g, one.before), after(s.steps.g, one.after);
    json where = json::object();
    for (const auto& [symbol, term] : one.where)
      where[std::string(symbol)] = print(before.at(term), notation::text, false);
    list.push_back({{"rule", u.name},
                    {"class", text_of(u.is)},
                    {"pattern", formula(u.pattern)},
                    {"result", formula(u.result)},
                    {"condition", u.when.text.empty() ? "" : condition_text(u)},
                    {"where", std::move(where)},
                    {"reason", u.reason},
                    {"source", u.source},
                    {"times", one.times},
                    {"before", formula(before)},
                    {"after", formula(after)},
                    {"miss", s.evidence.steps[k]},
                    {"operations_before", or_null(operations_of(before, value))},
                    {"operations_after", or_null(operations_of(after, value))}});
  }
  return list;
}

json jacobian_of(const measured_jacobian& m) {
  const jacobian_terms& j = m.terms;
  json one{{"input", m.input}, {"miss", or_null(m.whole)}, {"miss_of_paths", or_null(m.split)}};
  one["refused"] = j.refused == absent ? json() : formula({j, j.refused}, false);
  if (j.refused != absent) return one;
  std::vector<term_view> all{{j, j.full}};
  for (std::size_t k = 0; k < j.count; ++k) {
    all.emplace_back(j, j.paths[k].before);
    all.emplace_back(j, j.paths[k].operation);
  }
  const named_terms named = with_names(all);
  const auto term = [&named](std::size_t k) { return formula({named.g, named.terms[k]}); };
  one["J"] = term(0);
  if (j.implicit != absent) one["H"] = formula({j, j.implicit});
  one["paths"] = json::array();
  for (std::size_t k = 0; k < j.count; ++k) {
    const control_path& p = j.paths[k];
    one["paths"].push_back({{"control", p.control == absent ? json() : formula({j, p.control}, false)},
                            {"before", term(1 + 2 * k)},
                            {"operator", term(2 + 2 * k)},
                            {"operations", or_null(operations_of({j, p.operation}, j.g[j.variable].to))}});
  }
  one["names"] = json::array();
  for (const node_index i : named.defined)
    one["names"].push_back({{"name", named.g.labels[i]}, {"definition", formula({named.g, i})}});
  return one;
}

/// A sentence with its terms as text.
std::string sentence(const phrase& p, const term_view& v) {
  std::string out;
  std::size_t k = 0;
  for (const char c : p.text) out += c == '@' ? print(v.at(p.terms[k++]), notation::text, false) : std::string(1, c);
  return out;
}

json properties(const term_view& H, axes value) {
  const attention_properties p = classify(H, value);
  const term_view own = p.H;
  json factors = json::array(), costs = json::array();
  for (const factor_properties& f : p.factors)
    factors.push_back({{"factor", print(own.at(f.what), notation::text, false)},
                       {"role", text_of(f.is)},
                       {"does", sentence(f.does, own)},
                       {"reads", f.reads},
                       {"bandwidth", f.bandwidth},
                       {"bias", f.bias}});
  for (const query_cost& c : p.costs)
    costs.push_back({{"query", c.query}, {"operations", c.operations}, {"memory", c.memory}, {"how", c.how}});
  return {{"class", text_of(p.is)},
          {"data_controlled", p.data_controlled},
          {"causal", p.causal},
          {"direction", p.direction},
          {"matrices", p.matrices},
          {"operations", p.operations},
          {"factors", std::move(factors)},
          {"costs", std::move(costs)}};
}

json refusal(const derivation& d) {
  if (d.refused == absent) return {};
  json r = formula({d, d.refused}, false);
  if (d.refusing != absent) r["rule"] = {{"name", rules[d.refusing].name}, {"reason", rules[d.refusing].reason}};
  return r;
}

}  // namespace

std::string write_json(const subject& s) {
  const architecture& a = s.a;
  const derivation& d = s.derived;
  const derivation_evidence& e = s.evidence;
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
           {"steps", steps(s)},
           {"refused", refusal(d)},
           {"miss", or_null(e.whole)},
           {"printed",
            {{"equation", a.printed.equation}, {"difference", a.printed.difference}, {"miss", or_null(e.printed)}}}};
  if (d.refused == absent) {
    doc["H"] = formula({d, d.formula});
    doc["r"] = formula({d, d.remainder});
    doc["factors_of_product"] = factors_of({d, d.formula}).size();
    doc["properties"] = properties({d, d.formula}, value_axes(a.attention));
  }
  if (a.printed.H.root != absent) doc["printed"]["H"] = formula(a.printed.H);
  if (s.measured.share)
    doc["implicit_share"] = {{"where", s.measured.share->where},
                             {"carried", s.measured.share->carried},
                             {"cosine", s.measured.share->cosine}};
  if (s.measured.printed)
    doc["printed"]["measured"] = {{"where", s.measured.printed->where}, {"miss", s.measured.printed->miss}};
  for (const measured_jacobian& m : s.jacobians) doc["jacobian"].push_back(jacobian_of(m));
  if (e.stabilised) doc["stabilised"] = {{"y", formula(named_stabilised(a))}, {"miss", *e.stabilised}};
  return json_text(doc);
}

}  // namespace alphaform::documents

// What two architectures share and where they differ.
#include <fmt/core.h>

#include <alphaform/algebra/comparison.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/reference/witness.hpp>
#include <alphaform/explain/comparison_document.hpp>
#include <alphaform/explain/document/blocks.hpp>

namespace alphaform {
namespace {

using namespace documents;

expr formula_of_derived(const architecture& a) {
  const derivation d = derive(a.attention);
  if (d.refused != absent)
    throw user_error(fmt::format("{} has no implicit attention to compare: its value path meets {}", a.name,
                                 print({d, d.refused}, notation::text, false)));
  return d.term(d.formula);
}

std::string factor_text(const attention_properties& p, int k) {
  if (k < 0) return "";
  const term_view v = p.H;
  return print(v.at(p.factors[static_cast<std::size_t>(k)].what), notation::text, false);
}
std::string role_text(const comparison& c, const aligned_factors& f) {
  const attention_properties& p = f.left >= 0 ? c.left : c.right;
  return std::string(text_of(p.factors[static_cast<std::size_t>(f.left >= 0 ? f.left : f.right)].is));
}

block properties(const comparison& c, const architecture& left, const architecture& right) {
  block table{block_kind::table,
              {},
              {{{{"Property"}}, {{std::string(left.name)}}, {{std::string(right.name)}}, {{"Differs"}}}}};
  const auto row = [&table](std::string_view name, const std::string& a, const std::string& b) {
    table.rows.push_back({{{std::string(name)}}, {{a}}, {{b}}, {{a == b ? "" : "yes"}}});
  };
  const auto controlled = [](const attention_properties& p) {
    return std::string(p.data_controlled ? "by the data" : "time-invariant");
  };
  row("class", std::string(text_of(c.left.is)), std::string(text_of(c.right.is)));
  row("controlled", controlled(c.left), controlled(c.right));
  row("direction", c.left.direction, c.right.direction);
  row("T x T matrices", c.left.matrices, c.right.matrices);
  row("operations of H x", c.left.operations, c.right.operations);
  for (std::size_t k = 0; k < c.left.costs.size(); ++k)
    row(c.left.costs[k].query, c.left.costs[k].operations, c.right.costs[k].operations);
  return table;
}

}  // namespace

std::string comparison_document(const architecture& left, const architecture& right) {
  const comparison c = compare(formula_of_derived(left), value_axes(left.attention), formula_of_derived(right),
                               value_axes(right.attention));
  std::vector<block> blocks{{block_kind::title, {{fmt::format("{} and {}", left.title, right.title)}}, {}}};
  const auto say = [&blocks](std::string text) { blocks.push_back({block_kind::paragraph, {{std::move(text)}}, {}}); };
  say("The normal forms of H:");
  blocks.push_back({block_kind::equations,
                    {},
                    {{{{std::string(left.name), true}}, {{print(c.left.H, notation::text), true}}},
                     {{{std::string(right.name), true}}, {{print(c.right.H, notation::text), true}}}}});
  blocks.push_back({block_kind::heading, {{"Factors"}}, {}});
  block table{
      block_kind::table, {}, {{{{"Role"}}, {{std::string(left.name)}}, {{std::string(right.name)}}, {{"Likeness"}}}}};
  for (const aligned_factors& f : c.factors) {
    const std::string likeness = f.is != likeness::none
                                     ? std::string(text_of(f.is))
                                     : fmt::format("only in {}", f.left >= 0 ? left.name : right.name);
    table.rows.push_back(
        {{{role_text(c, f)}}, {{factor_text(c.left, f.left)}}, {{factor_text(c.right, f.right)}}, {{likeness}}});
  }
  blocks.push_back(std::move(table));
  blocks.push_back({block_kind::heading, {{"Properties"}}, {}});
  blocks.push_back(properties(c, left, right));
  if (!c.exchanged.empty()) blocks.push_back({block_kind::heading, {{"Order"}}, {}});
  for (const exchanged_factors& x : c.exchanged) {
    const auto role_at = [&c](int k) { return text_of(c.left.factors[static_cast<std::size_t>(k)].is); };
    std::string text = fmt::format("In {} the {} stands left of the {}, in {} right of it.", left.name,
                                   role_at(x.first), role_at(x.second), right.name);
    text += x.forbidding == absent ? " No rule exchanges them."
                                   : fmt::format(" To exchange them is refused by \"{}\": {}", rules[x.forbidding].name,
                                                 rules[x.forbidding].reason);
    say(std::move(text));
  }
  return write_text(blocks);
}

}  // namespace alphaform

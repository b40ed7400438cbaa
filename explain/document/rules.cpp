// The table of rules as a document: what each says, when, why, and how often the registered architectures need it.
#include <fmt/core.h>

#include <alphaform/algebra/print.hpp>
#include <alphaform/algebra/replay.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/document/blocks.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/rules_document.hpp>
#include <nlohmann/json.hpp>

namespace alphaform {
namespace {

using namespace documents;

struct class_heading final {
  rule_class is;
  std::string_view heading, meaning;
};
constexpr std::array classes{
    class_heading{rule_class::frozen, "Frozen", "How F, the derivative along the value path, passes a term. Visible."},
    class_heading{rule_class::mathematical, "Mathematical", "Identities of operators. Visible."},
    class_heading{rule_class::remainder, "Remainder", "How R, what F leaves of a stream, passes a term."},
    class_heading{rule_class::derivative, "Derivative", "How J, the true derivative, passes a term."},
    class_heading{rule_class::controls, "Controls",
                  "How G = J - F, the derivative through what controls, passes a term."},
    class_heading{rule_class::splitting, "Splitting",
                  "Products distribute over alternative paths, and over nothing else."},
    class_heading{rule_class::adjoint, "Adjoint", "The transpose of a term."},
    class_heading{rule_class::canonical, "Canonical", "Bookkeeping: identities, zeros, the order of brackets. Silent."},
    class_heading{rule_class::commuting, "Commuting", "Factors that may change places; the normal form has one order."},
    class_heading{rule_class::stabilising, "Stabilising", "The same operator from factors that cannot overflow."},
    class_heading{rule_class::planning, "Planning", "The same operator at another cost."},
    class_heading{rule_class::unsound, "Refused", "Tempting and wrong: never applied."}};

rule_counts counted() {
  rule_counts counts{};
  for (const architecture& a : registry) {
    std::vector<std::string_view> inputs;
    for (const projection& p : a.inputs) inputs.push_back(p.input);
    count_rules(counts, a.attention, inputs);
  }
  return counts;
}
bool is_listed(rule_class c, const std::optional<rule_class>& which) { return !which || *which == c; }

std::string where_and_why(const rule& u) {
  std::string text;
  if (!u.when.text.empty()) text += "Where " + condition_text(u) + ".";
  if (!u.reason.empty()) text += (text.empty() ? "" : " ") + std::string(u.reason);
  return text;
}
std::string source_of(const rule& u) { return std::string(u.source); }

std::vector<block> composed(const std::optional<rule_class>& which, notation n, bool as_tables) {
  const rule_counts counts = counted();
  std::vector<block> blocks{{block_kind::title, {{"The rules"}}, {}}};
  blocks.push_back(
      {block_kind::paragraph,
       {{"x, y, z, w stand for streams, P, Q, R for operators, and v for the stream with respect to which F, R, J and "
         "G "
         "are meant. \"Fires\" counts what deriving every registered architecture and its derivatives with respect to "
         "all inputs takes."}},
       {}});
  for (const class_heading& c : classes) {
    if (!is_listed(c.is, which)) continue;
    blocks.push_back({block_kind::heading, {{std::string(c.heading)}}, {}});
    blocks.push_back({block_kind::paragraph, {{std::string(c.meaning)}}, {}});
    block table{block_kind::table, {}, {{{{"Rule"}}, {{"Identity"}}, {{"Where and why"}}, {{"Source"}}, {{"Fires"}}}}};
    const std::string relation = c.is == rule_class::unsound ? " is not " : " = ";
    for (std::size_t k = 0; k < rules.size(); ++k) {
      const rule& u = rules[k];
      if (u.is != c.is) continue;
      const span left{print(u.pattern, n), true}, right{print(u.result, n), true};
      if (as_tables) {
        table.rows.push_back({{{std::string(u.name)}},
                              {left, {relation}, right},
                              {{where_and_why(u)}},
                              {{source_of(u)}},
                              {{std::to_string(counts[k])}}});
        continue;
      }
      const std::string why = where_and_why(u);
      blocks.push_back(
          {block_kind::paragraph,
           {{fmt::format("{} ({}){}. Fires {} times.{}{}", u.name, u.source,
                         c.is == rule_class::unsound ? ", refused" : "", counts[k], why.empty() ? "" : " ", why)}},
           {}});
      if (c.is == rule_class::unsound)
        blocks.push_back({block_kind::equations, {}, {{{{"not"}}, {{left.text + " = " + right.text, true}}}}});
      else
        blocks.push_back({block_kind::equations, {}, {{{left}, {right}}}});
    }
    if (as_tables) blocks.push_back(std::move(table));
  }
  return blocks;
}

std::string as_json(const std::optional<rule_class>& which) {
  using nlohmann::json;
  const rule_counts counts = counted();
  const auto formula = [](const side& s) {
    return json{{"text", print(s, notation::text)},
                {"latex", print(s, notation::latex)},
                {"mathml", print(s, notation::mathml)}};
  };
  json list = json::array();
  for (std::size_t k = 0; k < rules.size(); ++k) {
    const rule& u = rules[k];
    if (!is_listed(u.is, which)) continue;
    list.push_back({{"name", u.name},
                    {"class", text_of(u.is)},
                    {"refused", u.is == rule_class::unsound},
                    {"pattern", formula(u.pattern)},
                    {"result", formula(u.result)},
                    {"condition", u.when.text.empty() ? "" : condition_text(u)},
                    {"source", u.source},
                    {"reason", u.reason},
                    {"fires", counts[k]}});
  }
  return json_text(list);
}

}  // namespace

std::string rules_document(rules_format format, const std::optional<rule_class>& which) {
  switch (format) {
    case rules_format::text:
      return write_text(composed(which, notation::text, false));
    case rules_format::markdown:
      return write_markdown(composed(which, notation::latex, true));
    case rules_format::json:
      return as_json(which);
  }
  throw internal_error("unknown format of the list of rules");
}

rule_class find_rule_class(std::string_view name) {
  std::string known;
  for (const class_heading& c : classes) {
    if (text_of(c.is) == name) return c.is;
    known += (known.empty() ? "" : ", ") + std::string(text_of(c.is));
  }
  throw user_error("there is no class of rules '" + std::string(name) + "'; known are " + known);
}

}  // namespace alphaform

// The table of all architectures, the factors that they share, and the paper's printed equations.
#include <fmt/core.h>

#include <alphaform/algebra/print.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/document/blocks.hpp>
#include <alphaform/explain/overview_documents.hpp>
#include <alphaform/explain/printed_miss.hpp>
#include <alphaform/explain/traits.hpp>
#include <map>

namespace alphaform {
namespace {

using namespace documents;

class overview final {
 public:
  explicit overview(notation n) : n_(n) {
    for (const architecture& a : registry) all_.push_back(traits_of(a, n));
  }

  std::vector<block> composed() {
    blocks_.push_back({block_kind::title, {{"Architectures"}}, {}});
    say("Every registered token mixer is y = H x + r with an implicit attention H that its declaration determines. "
        "Everything here is read off the derived H; nothing is entered by hand. A page for each is in derivations/.");
    operators();
    recurrences();
    classes();
    shared_factors();
    printed_equations();
    return std::move(blocks_);
  }

 private:
  notation n_;
  std::vector<architecture_traits> all_;
  std::vector<block> blocks_;

  void heading(std::string text) { blocks_.push_back({block_kind::heading, {{std::move(text)}}, {}}); }
  void say(std::string text) { blocks_.push_back({block_kind::paragraph, {{std::move(text)}}, {}}); }
  void table(std::vector<std::vector<line>> rows) { blocks_.push_back({block_kind::table, {}, std::move(rows)}); }
  static line words(std::string_view text) { return {{std::string(text)}}; }

  void operators() {
    heading("Operators");
    line said = words("Each factor of H by what it is for: ");
    constexpr std::array meanings{"filter or token shift",
                                  "activation",
                                  "gate",
                                  "core, which carries tokens forward",
                                  "row sums",
                                  "skip",
                                  "norm",
                                  "projection",
                                  "other"};
    for (std::size_t r = 0; r < meanings.size(); ++r) {
      if (r > 0) said.push_back({", "});
      said.push_back({letter_of(static_cast<role>(r), n_), true});
      said.push_back({fmt::format(" {}", meanings[r])});
    }
    said.push_back(
        {". \"Matrices\" counts the independent T x T matrices of a layer, with G groups of heads, H heads in "
         "one, C channels in a head, N state entries. The remainder r starts from the streams and parameters "
         "that are named."});
    blocks_.push_back({block_kind::paragraph, std::move(said), {}});
    std::vector<std::vector<line>> rows{{words("Architecture"), words("H"), words("Class"), words("Controlled"),
                                         words("Direction"), words("Matrices"), words("Remainder r"), words("Source")}};
    for (const architecture_traits& t : all_) {
      const attention_properties& p = t.properties;
      rows.push_back({words(t.of->name), line{{t.formula, true}}, words(text_of(p.is)),
                      words(p.data_controlled ? "by the data" : "fixed"), words(p.direction),
                      words(p.matrices.substr(0, p.matrices.find(' '))), words(t.remainder.empty() ? "0" : t.remainder),
                      words(t.of->source)});
    }
    table(std::move(rows));
  }

  void recurrences() {
    heading("Memory");
    say("How the core remembers: what its decay is a function of, whether a token reads its own write, what is "
        "normalised, how many numbers are carried from token to token, and whether the recurrence may be scanned in "
        "parallel (its composed steps are as small as single ones).");
    std::vector<std::vector<line>> rows{{words("Architecture"), words("Core"), words("Decay"), words("Reads"),
                                         words("Normaliser"), words("State"), words("Scan"), words("H x takes")}};
    for (const architecture_traits& t : all_)
      rows.push_back({words(t.of->name), words(t.memory), words(t.decay), words(t.read), words(t.normaliser),
                      words(t.state), words(t.scan), words(t.properties.operations)});
    table(std::move(rows));
  }

  std::string names_where(bool (*holds)(const architecture_traits&)) const {
    std::string names;
    for (const architecture_traits& t : all_)
      if (holds(t)) names += (names.empty() ? "" : ", ") + std::string(t.of->name);
    return names.empty() ? "none" : names;
  }
  void classes() {
    heading("Classes");
    say("The paper's App. E sorts attention models into three classes. By the derived operators:");
    std::vector<std::vector<line>> rows{{words("Class"), words("Its H"), words("Architectures")}};
    rows.push_back({words("explicit"), words("entries are given directly"),
                    words(names_where([](const auto& t) { return t.properties.is == attention_class::explicit_; }))});
    rows.push_back({words("implicit"), words("recurrences and filters, each channel on its own"),
                    words(names_where([](const auto& t) { return t.properties.is == attention_class::implicit; }))});
    rows.push_back({words("tensor"), words("an operator of H mixes channels"),
                    words(names_where([](const auto& t) { return t.properties.is == attention_class::tensor; }))});
    table(std::move(rows));
    say(
        fmt::format("App. E gives S5 as a data-controlled attention tensor. It is a tensor, but not controlled by the "
                    "data: the same H serves every text. Fixed in this sense are {}.",
                    names_where([](const auto& t) { return !t.properties.data_controlled; })));
    say("What makes a tensor of an otherwise implicit attention is mixing between channels inside H: the matrices B "
        "and "
        "C of S5 and LRU, or a norm that subtracts the mean over channels. A norm that only divides is one number for "
        "each token, as the divisor of softmax is, and keeps channels apart.");
  }

  /// The factors of a role that differ in names only, and whose they are.
  void shared_factors() {
    heading("Shared factors");
    say("Factors of one kind, which differ in the names of inputs and parameters only, stand in one row, written as in "
        "the first architecture that has them. Cores are of one kind if decay, read and state agree.");
    struct sharing {
      const factor_trait* first = nullptr;
      std::vector<std::string_view> names;
    };
    for (const role r : {role::core, role::filter, role::activation, role::gate, role::skip, role::norm,
                         role::normaliser, role::projection, role::other}) {
      std::vector<std::string> order;
      std::map<std::string, sharing> kinds;
      for (const architecture_traits& t : all_)
        for (const factor_trait& f : t.factors) {
          if (f.is != r) continue;
          const std::string kind = r == role::core ? core_kind(t) : f.kind;
          if (!kinds.contains(kind)) order.push_back(kind);
          sharing& s = kinds[kind];
          if (s.first == nullptr) s.first = &f;
          if (s.names.empty() || s.names.back() != t.of->name) s.names.push_back(t.of->name);
        }
      if (order.empty()) continue;
      std::vector<std::vector<line>> rows{
          {words(std::string(text_of(r)) + (r == role::core ? "" : ", as in the first")), words("Architectures")}};
      for (const std::string& kind : order) {
        const sharing& s = kinds[kind];
        std::string names;
        for (const std::string_view name : s.names) names += (names.empty() ? "" : ", ") + std::string(name);
        rows.push_back({r == role::core ? words(kind) : formula(*s.first), words(names)});
      }
      table(std::move(rows));
    }
  }
  /// Long ones are left to the architecture's page.
  line formula(const factor_trait& f) const {
    if (f.formula.size() > (n_ == notation::latex ? 260u : 90u)) return words("long; see its page");
    return {{f.formula, true}, {f.note.empty() ? "" : ", " + f.note}};
  }
  static std::string core_kind(const architecture_traits& t) {
    return t.memory + (t.decay.empty() ? "" : ", decay " + t.decay) +
           (t.read.starts_with("own") ? "" : ", reads " + t.read);
  }

  void printed_equations() {
    heading("Printed equations");
    say("Where the paper prints an operator: how it differs from the derived one, and the largest entry of H_printed x "
        "- y over that of y, on random parameters and on the golden model.");
    std::vector<std::vector<line>> rows{
        {words("Architecture"), words("Equation"), words("Misses on random"), words("on golden"), words("Difference")}};
    for (const architecture_traits& t : all_) {
      const printed_form& p = t.of->printed;
      if (p.equation.empty()) continue;
      const std::optional<measured_miss> golden = printed_miss(*t.of);
      std::string random;
      if (p.H.root != absent) {
        const derivation_evidence e = measure(*t.of, t.derived, {});
        random = significant(*e.printed);
      }
      rows.push_back({words(t.of->name), words(p.equation), words(random),
                      words(golden ? significant(golden->miss) : ""), words(p.difference)});
    }
    table(std::move(rows));
  }
  /// Rounding is no miss.
  static std::string significant(double miss) { return miss < 1e-6 ? "0" : fmt::format("{:.2g}", miss); }
};

}  // namespace

std::string overview_document(overview_format format) {
  if (format == overview_format::markdown) return write_markdown(overview(notation::latex).composed());
  return write_text(overview(notation::text).composed());
}

}  // namespace alphaform

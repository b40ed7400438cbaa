#include <alphaform/explain/rules_document.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/input.hpp>
#include <optional>
#include <string>

namespace alphaform::tools {

subcommand add_rules(CLI::App& app) {
  struct options {
    bool json = false, markdown = false;
    std::optional<std::string> which, output;
  };
  static options o;
  CLI::App* c = app.add_subcommand("rules", "Every rule: what it says, when, why, and how often it is needed");
  c->add_option("--class", o.which, "One class only, such as frozen or unsound");
  CLI::Option* json = c->add_flag("--json", o.json, "As JSON");
  c->add_flag("--markdown", o.markdown, "As Markdown")->excludes(json);
  c->add_option("-o,--output", o.output, "File to write; the terminal otherwise");
  c->footer("Example: alphaform rules --class unsound");
  return {c, [] {
            const auto format = o.json ? rules_format::json : o.markdown ? rules_format::markdown : rules_format::text;
            const auto which = o.which ? std::optional(find_rule_class(*o.which)) : std::nullopt;
            write_or_print(o.output, rules_document(format, which));
            return 0;
          }};
}

}  // namespace alphaform::tools

#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/implicit_share.hpp>
#include <alphaform/explain/printed_miss.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/input.hpp>
#include <map>

namespace alphaform::tools {

subcommand add_derive(CLI::App& app) {
  struct options {
    std::string name, format = "text";
    std::optional<std::string> output;
    bool jacobian = false;
  };
  static options o;
  CLI::App* c = app.add_subcommand("derive", "Derives an architecture's implicit attention y = H x + r, step by step");
  c->add_option("architecture", o.name, "A name from `alphaform list`")->required();
  static const std::map<std::string, document_format> formats{{"text", document_format::text},
                                                              {"markdown", document_format::markdown},
                                                              {"latex", document_format::latex},
                                                              {"json", document_format::json},
                                                              {"html", document_format::html_page}};
  c->add_option("--format", o.format, "text, markdown, latex, json or html")
      ->check(CLI::IsMember({"text", "markdown", "latex", "json", "html"}));
  c->add_flag("--jacobian", o.jacobian, "Also the true derivative of y, path by path");
  c->add_option("-o,--output", o.output, "File to write; the terminal otherwise");
  c->footer("Example: alphaform derive mamba --format markdown -o mamba.md");
  return {c, [] {
            const architecture& a = find_architecture(o.name);
            write_or_print(
                o.output,
                derivation_document(a, formats.at(o.format),
                                    {printed_miss(a), o.jacobian ? share_on_golden(a) : std::nullopt}, o.jacobian));
            return 0;
          }};
}

}  // namespace alphaform::tools

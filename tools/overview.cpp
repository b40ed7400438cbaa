#include <alphaform/explain/overview_documents.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/input.hpp>
#include <optional>
#include <string>

namespace alphaform::tools {

namespace {

struct overview_options final {
  bool markdown = false;
  std::optional<std::string> output;
};

/// A subcommand that writes one of the pages about all architectures.
subcommand page(CLI::App& app, const char* name, const char* what, std::string (*document)(overview_format),
                overview_options& o) {
  CLI::App* c = app.add_subcommand(name, what);
  c->add_flag("--markdown", o.markdown, "As Markdown");
  c->add_option("-o,--output", o.output, "File to write; the terminal otherwise");
  c->footer("Example: alphaform " + std::string(name) + " --markdown -o " + name + ".md");
  return {c, [document, &o] {
            write_or_print(o.output, document(o.markdown ? overview_format::markdown : overview_format::text));
            return 0;
          }};
}

}  // namespace

subcommand add_overview(CLI::App& app) {
  static overview_options o;
  return page(app, "overview", "All architectures side by side: operators, classes, memory, shared factors",
              overview_document, o);
}

subcommand add_support(CLI::App& app) {
  static overview_options o;
  return page(app, "support", "What works for each architecture, on which evidence", support_document, o);
}

}  // namespace alphaform::tools

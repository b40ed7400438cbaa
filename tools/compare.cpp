#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/comparison_document.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/input.hpp>

namespace alphaform::tools {

subcommand add_compare(CLI::App& app) {
  struct options {
    std::string left, right;
    std::optional<std::string> output;
  };
  static options o;
  CLI::App* c = app.add_subcommand("compare", "Two architectures side by side: factors, order and properties");
  c->add_option("left", o.left, "A name from `alphaform list`")->required();
  c->add_option("right", o.right, "Another one")->required();
  c->add_option("-o,--output", o.output, "File to write; the terminal otherwise");
  c->footer("Example: alphaform compare mamba rwkv4");
  return {c, [] {
            write_or_print(o.output, comparison_document(find_architecture(o.left), find_architecture(o.right)));
            return 0;
          }};
}

}  // namespace alphaform::tools

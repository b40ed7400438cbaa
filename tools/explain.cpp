#include <fmt/core.h>
#include <unistd.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/explain/explain.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/maps.hpp>
#include <alphaform/explain/output/png.hpp>
#include <alphaform/explain/output/report.hpp>
#include <alphaform/explain/output/terminal.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <alphaform/tools/input.hpp>
#include <cstdlib>

namespace alphaform::tools {

namespace {

struct explain_options final {
  std::string model, method = "rollout";
  std::optional<std::string> text, ids, output;
};

/// Makes all bytes first, so that nothing is written if any of them cannot be made.
void write_all(const std::filesystem::path& folder, const explanation& e) {
  std::vector<std::pair<std::string, std::string>> files{
      {"report.html", report_html(e)}, {"result.json", json_text(to_json(e))}, {"result.npz", maps_npz(e)}};
  std::vector<heat_map> maps;
  for (const layer_map& m : e.maps) {
    maps.push_back({m.values, e.ids.size(), e.ids.size()});
    files.emplace_back(map_name(m) + ".png", heat_map_png(m.values, e.ids.size(), e.ids.size()));
  }
  files.emplace_back("layers.png", heat_maps_png(maps));
  write_files(folder, files);
}

bool coloured() {
  const char* off = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (off == nullptr || *off == '\0');
}

int run(const explain_options& o) {
  const method how = method_of(o.method);
  const checkpoint file = checkpoint::open(o.model);
  const model<float> m(file, device());
  const std::vector<token> tokens = tokens_of(file, m.vocabulary(), o.text, o.ids);
  std::optional<tokenizer> words;
  if (m.labels().empty() && o.text) words = tokenizer_of(file, m.vocabulary());
  const std::string name = std::filesystem::weakly_canonical(file.path()).filename().string();
  const explanation e = explain(m, name, o.text.value_or(""), tokens, how, words);
  if (o.output) write_all(*o.output, e);
  fmt::print("{}", terminal_text(e, coloured()));
  if (o.output) fmt::print("report: {}\n", quote_path(std::filesystem::absolute(*o.output) / "report.html"));
  return 0;
}

}  // namespace

subcommand add_explain(CLI::App& app) {
  static explain_options o;
  CLI::App* c = app.add_subcommand("explain", "Explains what a model did with a text: token scores, maps, report.html");
  c->add_option("model", o.model, "A checkpoint: file or folder")->required();
  c->add_option("--text", o.text, "The text");
  c->add_option("--ids", o.ids, "Token ids instead of a text, such as 34,105,110");
  c->add_option("--method", o.method, "raw: the layers' last rows; rollout: followed through the layers (the default)")
      ->check(CLI::IsMember({"raw", "rollout"}));
  c->add_option("-o,--output", o.output, "Folder for report.html, result.json, result.npz and the maps as PNG");
  c->footer("Example: alphaform explain models/sentiment --text \"a joy to watch\" -o alphaform-report");
  return {c, [] { return run(o); }};
}

}  // namespace alphaform::tools

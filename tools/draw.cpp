#include <fmt/core.h>

#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/explain/drawing.hpp>
#include <alphaform/explain/implicit_share.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <alphaform/tools/input.hpp>

namespace alphaform::tools {

namespace {

struct draw_options final {
  std::string model, output;
  std::optional<std::string> text, ids;
};

/// Those of the request, or the first text of the record beside the model.
std::vector<std::int64_t> ids_to_draw(const checkpoint& file, const model<float>& m, const draw_options& o) {
  if (o.text || o.ids) return ids_of(tokens_of(file, m.vocabulary(), o.text, o.ids));
  const auto record = (is_directory(file.path()) ? file.path() : file.path().parent_path()) / "reference.safetensors";
  if (!exists(record))
    throw user_error("there is no record beside the model whose text could be drawn: give --text or --ids");
  return recorded_ids(checkpoint::open(record));
}

int run(const draw_options& o) {
  const checkpoint file = checkpoint::open(o.model);
  const model<float> m(file, device());
  if (m.vocabulary() == 0) throw user_error("draw shows attention on a text, but this model reads images");
  write_file(o.output, attention_picture(m, ids_to_draw(file, m, o)));
  fmt::print("wrote {}\n", quote_path(o.output));
  return 0;
}

}  // namespace

subcommand add_draw(CLI::App& app) {
  static draw_options o;
  CLI::App* c = app.add_subcommand("draw", "A picture of |H|: some channels in some layers on one text");
  c->add_option("model", o.model, "A checkpoint: file or folder")->required();
  CLI::Option* text = c->add_option("--text", o.text, "The text (default: the first one of reference.safetensors)");
  c->add_option("--ids", o.ids, "Token ids instead of a text, such as 34,105,110")->excludes(text);
  c->add_option("-o,--output", o.output, "The PNG file to write")->required();
  c->footer("Example: alphaform draw models/golden/mamba -o mamba.png");
  return {c, [] { return run(o); }};
}

}  // namespace alphaform::tools
